import { expect } from 'vitest';
import { shardedD1 } from '../../src';
import type { TableRules } from '../../src/config';
import { hashOwner } from '../support/owner';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { plain, shards } from '../support/shards';
import { rows, rules, tables } from './fixture';

export type Rules = TableRules<Record<string, unknown>, string>;
type Databases = Readonly<Record<string, D1Database>>;
type Rows = readonly (readonly unknown[])[];

const { s0, s1, s2, s3 } = shards(4) as { s0: D1Database; s1: D1Database; s2: D1Database; s3: D1Database };
/** The databases behind three shards, and the one behind a single shard. */
export const threeShards: Databases = { s0, s1, s2 };
export const oneShard: Databases = { s1: s3 };

const shardDatabases = [...Object.values(threeShards), ...Object.values(oneShard)];

/** Runs statements in every database, as a migration does. */
export async function migrate(...statements: string[]): Promise<void> {
  await Promise.all([plain, ...shardDatabases].map((database) => run(database, statements)));
}

/** The same data in one plain D1, in one shard and in three. */
export interface World {
  readonly one: D1Database;
  readonly three: D1Database;
  readonly rules: Rules;
}

/** Empties everything, makes the tables everywhere, and inserts the rows through each of the three interfaces. */
export async function makeWorld(
  tables: readonly string[],
  rows: readonly string[] = [],
  rules: Rules = {},
): Promise<World> {
  await resetDatabases();
  await migrate(...tables);
  const world = {
    one: shardedD1({ shards: oneShard, tables: rules }),
    three: shardedD1({ shards: threeShards, tables: rules }),
    rules,
  };
  for (const database of [plain, world.one, world.three]) {
    for (const sql of rows) await database.prepare(sql).run();
  }
  return world;
}

/** The world of `fixture.ts`. */
export const standardWorld = (): Promise<World> => makeWorld(tables, rows, rules);

export const bound = (database: D1Database, sql: string, params: readonly unknown[]): D1PreparedStatement =>
  params.length > 0 ? database.prepare(sql).bind(...params) : database.prepare(sql);

/** Column names, then rows. Without ORDER BY SQL promises no order, so neither do these. */
async function answer(database: D1Database, sql: string, params: readonly unknown[]): Promise<Rows> {
  const [names, ...rows] = await bound(database, sql, params).raw({ columnNames: true });
  if (rows.length === 0) return [];
  const isOrdered = /\border\s+by\b[^)]*$/i.test(sql);
  if (!isOrdered) rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return [names as string[], ...(rows as unknown[][])];
}

/** One shard and three give the columns and rows that the plain database gives; returns them. */
export async function expectSame(world: World, sql: string, ...params: unknown[]): Promise<Rows> {
  const expected = await answer(plain, sql, params);
  expect(await answer(world.one, sql, params), `1 shard: ${sql}`).toEqual(expected);
  expect(await answer(world.three, sql, params), `3 shards: ${sql}`).toEqual(expected);
  return expected;
}

/** The rows of a table, one text each that shows types and 64-bit integers, sorted. */
export async function contents(databases: Databases, table: string): Promise<string[]> {
  const columns = await plain.prepare('select name from pragma_table_xinfo(?)').bind(table).raw<[string]>();
  const quoted = columns.map(([name]) => `quote("${name}")`).join(` || ' ' || `);
  const lists = await Promise.all(
    Object.values(databases).map((database) => database.prepare(`select ${quoted} from "${table}"`).raw<[string]>()),
  );
  return lists
    .flat()
    .map(([row]) => row)
    .sort();
}

/** All shards together hold what the plain database holds, and each row is where its key belongs. */
export async function expectSameContents({ rules }: World, table: string): Promise<void> {
  const expected = await contents({ plain }, table);
  const rule = rules[table] ?? {};
  const groups = rule.replicated ? shardDatabases.map((replica) => ({ replica })) : [oneShard, threeShards];
  for (const group of groups) expect(await contents(group, table), Object.keys(group).join()).toEqual(expected);
  if (rule.replicated || rule.shard) return;
  const placement = hashOwner(Object.keys(threeShards));
  for (const [shard, database] of Object.entries(threeShards)) {
    const keys = await database.prepare(`select cast("${rule.key ?? 'id'}" as text) from "${table}"`).raw<[string]>();
    for (const [key] of keys) expect(placement(key), `the owner of ${table} ${key}`).toBe(shard);
  }
}

/** A write does on one shard and on three what it does on the plain database, and counts its changes alike. */
export async function expectSameWrite(world: World, table: string, sql: string, ...params: unknown[]): Promise<void> {
  const expected = await bound(plain, sql, params).run();
  const isInsert = /\binsert\b/i.test(sql);
  const listed = (rows: readonly unknown[]) => {
    const texts = rows.map((row) => JSON.stringify(Object.entries(row as object)));
    return isInsert ? texts : texts.sort();
  };
  for (const name of ['one', 'three'] as const) {
    const result = await bound(world[name], sql, params).run();
    expect(result.meta.changes, `${name}: changes of ${sql}`).toBe(expected.meta.changes);
    expect(listed(result.results), `${name}: rows of ${sql}`).toEqual(listed(expected.results));
  }
  await expectSameContents(world, table);
}

export type Failure = Error & { readonly code?: string; readonly shard?: string };

/** What a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const settled = await promise.then(
    (value) => ({ value }),
    (error: Failure) => ({ error }),
  );
  if ('error' in settled) return settled.error;
  throw new Error(`Expected a failure, got ${JSON.stringify(settled.value)}`);
}

/** Three shards refuse the statement by a named error, and nothing is written to the table. */
export async function expectRefused(
  world: World,
  code: string,
  table: string,
  sql: string,
  ...params: unknown[]
): Promise<void> {
  const before = await contents(threeShards, table);
  const error = await failureOf(bound(world.three, sql, params).run());
  expect(error.code, `${sql} failed with: ${error.message}`).toBe(code);
  expect(await contents(threeShards, table), `after the refusal of ${sql}`).toEqual(before);
}
