import { expect } from 'vitest';
import { type ShardedConfig, shardedDrizzle } from '../../src';
import { quoteName } from '../../src/sql/tokens';
import { failureOf } from '../placement/fixture';
import { type D1Call, InterceptedD1 } from '../support/intercepted-d1';
import { Fleet, type Isolate, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { run, runEverywhere } from '../support/seed';
import { shards } from '../support/shards';

/** The key that is moved; it lives on s0 at first. */
export const KEY = 'k';

type Options = Omit<ShardedConfig, 'schema' | 'shards' | 'coordinator'>;

/** A router without a schema: tables are made in SQL, and their rows are written past it. */
export const router = (isolate: Pick<Isolate, 'config'>, options: Options = {}) =>
  shardedDrizzle({ ...isolate.config, ...options });

export type Router = ReturnType<typeof router>;

/** A router of another isolate, which stops before each call to a database for `before`. */
export function watched(fleet: Fleet, before: (shard: string, call: D1Call) => Promise<void>, options: Options = {}) {
  const { config } = fleet.isolate();
  const databases = Object.entries(config.shards).map(([name, database]) => [
    name,
    new InterceptedD1(database, async (call, run) => {
      await before(name, call);
      return run();
    }),
  ]);
  return router({ config: { ...config, shards: Object.fromEntries(databases) } }, options);
}

/** Three shards with these tables; {@link KEY} lives on s0, wherever its slot is. */
export async function loaded(ddl: readonly string[], options: Options = {}): Promise<{ db: Router; fleet: Fleet }> {
  await resetDatabases();
  await runEverywhere(shards(3), ddl);
  const fleet = new Fleet('coordinator');
  const db = router(fleet.isolate(), options);
  await db.$cluster.reassign(KEY, 's0');
  return { db, fleet };
}

export type ShardName = 's0' | 's1' | 's2';
export const shard = (name: ShardName): D1Database => shards(3)[name] as D1Database;

/** Statements on one shard, past the router. */
export const on = (name: ShardName, ...statements: readonly string[]): Promise<void> => run(shard(name), statements);

/** The rows of a query on one shard, past the router. */
export const rowsOn = async (name: ShardName, query: string): Promise<unknown[][]> =>
  shard(name).prepare(query).raw<unknown[]>();

/**
 * The rows of a table on one shard, as text that tells apart all values there are: 1 and 1.0, text and blob. In no order.
 *
 * @param where Of which rows; of all by default.
 */
export async function valuesOn(name: ShardName, table: string, where = 'true'): Promise<string[]> {
  const { results: columns } = await shard(name)
    .prepare('select name from pragma_table_xinfo(?)')
    .bind(table)
    .all<{ name: string }>();
  // quote() ends at a NUL character, and hex() sees 15 digits of a REAL.
  const told = columns.map((column) => {
    const c = quoteName(column.name);
    return `typeof(${c}) || ' ' || quote(${c}) || ' ' || hex(${c})`;
  });
  const rows = await rowsOn(name, `select ${told.join(', ')} from ${quoteName(table)} where ${where}`);
  return rows.map((row) => row.join('\n')).sort();
}

/** All rows of all of the user's tables on each shard, and all triggers and indexes: what a refused move must not change. */
export async function everything(): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  for (const name of ['s0', 's1', 's2'] as const) {
    const all = await rowsOn(
      name,
      "select type, name, coalesce(sql, '') from sqlite_master where name not glob '_*' and name not glob 'sqlite_*' order by 1, 2",
    );
    found[`${name} schema`] = all.map((row) => row.join(' '));
    for (const [type, table] of all)
      if (type === 'table') found[`${name} ${table}`] = await valuesOn(name, String(table));
  }
  return found;
}

/** Phases of moves that are not over, on any shard, and what was staged for them. */
export const unfinished = async (): Promise<unknown[]> =>
  (
    await Promise.all([
      rowsEverywhere("select phase from _shard_moves where phase in ('staging', 'frozen', 'landed')", shards(3)),
      rowsEverywhere('select move from _shard_stage', shards(3)),
    ])
  ).flat();

/** What a move was refused with, after a look whether it has changed nothing and holds nobody up. */
export async function refusalOf(move: PromiseLike<unknown>): Promise<Error & { readonly code?: string }> {
  const error = await failureOf(move);
  expect(await unfinished()).toEqual([]);
  return error;
}
