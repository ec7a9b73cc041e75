import type { SQL, SQLWrapper } from 'drizzle-orm';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';

/** What FROM takes: a table, a subquery or a CTE. */
export interface Relation {
  readonly _: object;
}

/**
 * The part of Drizzle's builders that recipes use. Their real types follow the shape of each query, which is not known
 * here before it is drawn.
 */
export interface Builder {
  select(fields?: Record<string, SQLWrapper>): { from(relation: Relation): Chain };
  selectDistinct(fields?: Record<string, SQLWrapper>): { from(relation: Relation): Chain };
  with(...ctes: Relation[]): Builder;
  $with(name: string): { as(query: Chain): Relation };
  $count(table: SQLiteTable, where?: SQL): PromiseLike<number>;
  batch(queries: readonly Chain[]): Promise<unknown[][]>;
  readonly $client: D1Database;
}

export interface Chain extends SQLWrapper, PromiseLike<unknown[]> {
  innerJoin(relation: Relation, on: SQL): Chain;
  leftJoin(relation: Relation, on: SQL): Chain;
  rightJoin(relation: Relation, on: SQL): Chain;
  fullJoin(relation: Relation, on: SQL): Chain;
  crossJoin(relation: Relation): Chain;
  where(condition: SQL | undefined): Chain;
  groupBy(...by: SQLWrapper[]): Chain;
  having(condition: SQL): Chain;
  orderBy(...by: SQLWrapper[]): Chain;
  limit(limit: number): Chain;
  offset(offset: number): Chain;
  union(other: Chain): Chain;
  unionAll(other: Chain): Chain;
  intersect(other: Chain): Chain;
  except(other: Chain): Chain;
  as(name: string): Relation;
  all(): Promise<unknown[]>;
  get(): Promise<unknown>;
  values(): Promise<unknown[][]>;
  prepare(): { all(): Promise<unknown[]> };
  toSQL(): { sql: string; params: unknown[] };
}
