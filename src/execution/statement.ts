import { UnsupportedStatementError } from '../errors';
import type { Plan } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { isObserved, observe, type QueryListener } from './observe';
import type { Route } from './route';
import type { Executor } from './run';
import { prepare, type RowFormat, rowsOf, type ShardRows } from './shard-set';

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
      (result) => result as D1Result<T>,
      (rows) => ({ success: true, meta: rows.meta, results: toObjects(rows) as T[] }),
    );
  }

  first<T = unknown>(column: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  async first<T>(column?: string): Promise<T | null> {
    const result = await this.#run(
      'objects',
      (direct) => rowsOf({ ...direct, results: direct.results.slice(0, 1) }),
      (rows) => rows,
    );
    return firstOf<T>(result, column);
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  async raw<T = unknown[]>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    if (options?.columnNames !== true) {
      return this.#run<T[]>(
        'arrays',
        ({ results }) => results.map((row) => Object.values(row as Record<string, unknown>) as T),
        ({ rows }) => rows as T[],
      );
    }
    const { columns, rows } = await this.#run('arrays', rowsOf, (merged) => merged, true);
    return [[...columns], ...(rows as T[])];
  }

  /**
   * `direct`: one shard answers, in D1's own form. `merged`: the form is made from merged rows. `names`: the caller asks for
   * the columns' names, also where there is no row.
   */
  #run<R>(
    format: RowFormat,
    direct: (result: D1Result) => R,
    merged: (rows: ShardRows) => R,
    names = false,
  ): Promise<R> {
    if (!this.#listener && !isObserved()) return this.#execute(format, direct, merged, names);
    return observe(this.#listener, [this], (routed) =>
      this.#execute(format, direct, merged, names, (route) => routed(this, route)),
    );
  }

  async #execute<R>(
    format: RowFormat,
    direct: (result: D1Result) => R,
    merged: (rows: ShardRows) => R,
    names: boolean,
    routed?: (route: Route) => void,
  ): Promise<R> {
    const executor = this.#executor;
    executor.checkText(this.sql);
    return executor.accepted([], async (attempt) => {
      const { plan, route } = await executor.prepare(this, attempt, format);
      routed?.(route);
      if (route.kind === 'single' && !names && (!route.renamed || route.names === undefined))
        return direct(await executor.single(route, attempt, plan.tables));
      const rows = await executor.run(route, attempt, plan.tables);
      return merged(names && !route.names ? await this.#withNames(rows, route, plan) : rows);
    });
  }

  /** Only the database knows the names of `select *`; without a row it has not told them. */
  async #withNames(rows: ShardRows, route: Route, plan: Plan): Promise<ShardRows> {
    // SQLite has made names unique: `id:1` is the second `id`.
    if (rows.columns.length > 0) {
      const own = (name: string) => name.replace(/:\d+$/, '');
      return {
        ...rows,
        columns: rows.columns.map((name, i) => (rows.columns.indexOf(own(name)) < i ? own(name) : name)),
      };
    }
    if (plan.kind === 'insert' || plan.kind === 'update' || plan.kind === 'delete') {
      // RETURNING *; the statement itself must not run again.
      return { ...rows, columns: plan.table.columns.map(({ name }) => name) };
    }
    const client = this.#executor.shards.client(route.shards[0] as string);
    const sql = plan.kind === 'read' ? `select * from (${this.sql.replace(/;\s*$/, '')}\n) limit 0` : this.sql;
    const [columns] = await prepare(client, { sql, params: this.params }).raw({ columnNames: true });
    return { ...rows, columns };
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
