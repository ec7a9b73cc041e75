import type { SQL, SQLWrapper } from 'drizzle-orm';
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Builder, Chain, Relation } from '../queries/builder';

/** The part of Drizzle's builders that writes use; see `Builder`. */
export interface WriteBuilder extends Builder {
  insert(table: SQLiteTable): {
    values(rows: readonly Record<string, unknown>[]): WriteChain;
    select(query: Chain): WriteChain;
  };
  update(table: SQLiteTable): { set(values: Record<string, unknown>): WriteChain };
  delete(table: SQLiteTable): WriteChain;
}

export interface WriteChain extends SQLWrapper, PromiseLike<unknown> {
  onConflictDoNothing(config?: { target: readonly SQLiteColumn[] }): WriteChain;
  onConflictDoUpdate(config: {
    target: readonly SQLiteColumn[];
    set: Record<string, unknown>;
    setWhere?: SQL | undefined;
  }): WriteChain;
  from(relation: Relation): WriteChain;
  where(condition: SQL | undefined): WriteChain;
  orderBy(...by: SQLWrapper[]): WriteChain;
  limit(limit: number): WriteChain;
  returning(fields?: Record<string, SQLWrapper>): WriteChain;
  toSQL(): { sql: string; params: unknown[] };
}
