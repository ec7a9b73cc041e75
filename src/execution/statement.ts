import { UnsupportedStatementError } from '../errors';
import { observe, type QueryListener } from './observe';
import type { Route } from './route';
import type { Executor } from './run';
import type { BoundStatement, RowFormat, ShardRows } from './shard-set';

/** One statement with its values. Decides its shards only when it is run. */
export class ShardedStatement implements D1PreparedStatement, BoundStatement {
  readonly #executor: Executor;
  readonly #listener: QueryListener;

  constructor(
    executor: Executor,
    listener: QueryListener,
    readonly sql: string,
    readonly params: readonly unknown[] = [],
  ) {
    this.#executor = executor;
    this.#listener = listener;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    return new ShardedStatement(this.#executor, this.#listener, this.sql, values);
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#run(
      'objects',
      (statement) => statement.all<T>(),
      (result) => ({ success: true, meta: result.meta, results: toObjects(result) as T[] }),
    );
  }

  first<T = unknown>(column: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  first<T>(column?: string): Promise<T | null> {
    return this.#run(
      'objects',
      (statement) => (column === undefined ? statement.first<T>() : statement.first<T>(column)),
      (result) => firstOf<T>(result, column),
    );
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  raw<T = unknown[]>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    const named = options?.columnNames === true;
    return this.#run<T[] | [string[], ...T[]]>(
      'arrays',
      (statement) => (named ? statement.raw<T>({ columnNames: true }) : statement.raw<T>()),
      ({ columns, rows }) => (named ? [[...columns], ...(rows as T[])] : (rows as T[])),
    );
  }

  /** `direct`: one shard answers, in D1's own form. `merged`: the form is made from merged rows. */
  #run<R>(
    format: RowFormat,
    direct: (statement: D1PreparedStatement) => Promise<R>,
    merged: (rows: ShardRows) => R,
  ): Promise<R> {
    if (!this.#listener) return this.#execute(format, direct, merged);
    return observe(this.#listener, [this], (routed) =>
      this.#execute(format, direct, merged, (route) => routed(this, route)),
    );
  }

  async #execute<R>(
    format: RowFormat,
    direct: (statement: D1PreparedStatement) => Promise<R>,
    merged: (rows: ShardRows) => R,
    routed?: (route: Route) => void,
  ): Promise<R> {
    const executor = this.#executor;
    const { plan, route } = await executor.prepare(this);
    routed?.(route);
    if (route.kind !== 'single') return merged(await executor.run(route, format, plan.tables));
    const { shards } = executor;
    const purpose = { tables: plan.tables, write: route.write };
    return shards.on(route.shard, this.sql, purpose, () => direct(shards.prepare(route.shard, route.statement)));
  }
}

/** Rows as D1 gives them: of columns with one name, the last wins. */
export const toObjects = ({ columns, rows }: ShardRows): Record<string, unknown>[] =>
  rows.map((row) => Object.fromEntries(row.map((value, i) => [columns[i] as string, value])));

function firstOf<T>(result: ShardRows, column: string | undefined): T | null {
  const [row] = result.rows;
  if (!row) return null;
  if (column === undefined) return toObjects({ ...result, rows: [row] })[0] as T;
  const at = result.columns.lastIndexOf(column);
  if (at < 0) {
    throw new UnsupportedStatementError(`D1_COLUMN_NOTFOUND: Column not found (${column}).`, {
      remedy: `Write one of: ${result.columns.join(', ')}.`,
    });
  }
  return row[at] as T;
}
