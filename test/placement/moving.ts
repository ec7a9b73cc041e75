import { expect } from 'vitest';
import { type ShardedConfig, shardedD1 } from '../../src';
import { slotOf } from '../../src/placement/slots';
import { InterceptedD1 } from '../support/intercepted-d1';
import { Mover, type Scope, STEPS, type Step } from '../support/mover';
import { hashOwner } from '../support/owner';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { shards } from '../support/shards';

export const NAMES = ['s0', 's1', 's2'] as const;
export type Name = (typeof NAMES)[number];

export const SCHEMA = [
  'create table users (id text primary key, n integer not null)',
  'create table posts (id text primary key, user_id text not null, n integer not null)',
];

/** Where first contact puts a key. */
export const homeOf = hashOwner(NAMES);

/** Thirty users; u7 has the number 7, and the posts p7 and q7. */
export const IDS = Array.from({ length: 30 }, (_, i) => `u${i}`);
const idsOn = (shard: Name): string[] => IDS.filter((id) => homeOf(id) === shard);
/** On s0 until it is moved. */
export const [MOVING, STAYING] = idsOn('s0') as [string, string];
export const [ON_S1] = idsOn('s1') as [string];
export const [ON_S2] = idsOn('s2') as [string];
export const numberOf = (id: string): number => Number(id.slice(1));

/** The cluster's own databases, past every router. */
export const databases = (): Record<Name, D1Database> => shards(3) as Record<Name, D1Database>;

/** Another isolate: its own map, hints and versions, over the same databases. */
export function router(config: Partial<ShardedConfig> = {}): D1Database {
  const bindings = Object.entries(config.shards ?? databases()).map(([name, database]) => [name, isolated(database)]);
  return shardedD1({
    tables: { posts: { key: 'user_id' } },
    moveTimeout: 5000,
    ...config,
    shards: Object.fromEntries(bindings),
  });
}

const isolated = (database: D1Database) => new InterceptedD1(database, (_call, next) => next());

/** An empty cluster of three shards with the two tables; `fill` puts the users into it. */
export async function makeTables(): Promise<void> {
  await resetDatabases();
  await Promise.all(Object.values(databases()).map((database) => run(database, SCHEMA)));
}

export async function fill(d1: D1Database, ids: readonly string[] = IDS): Promise<void> {
  const users = ids.map((id) => `('${id}', ${numberOf(id)})`);
  const posts = ids.flatMap((id) => ['p', 'q'].map((kind) => `('${kind}${numberOf(id)}', '${id}', ${numberOf(id)})`));
  await d1.prepare(`insert into users (id, n) values ${users.join(', ')}`).run();
  await d1.prepare(`insert into posts (id, user_id, n) values ${posts.join(', ')}`).run();
}

export const begin = (scope: Scope, to: Name): Promise<Mover> =>
  Mover.begin(
    {
      shards: databases(),
      tables: [
        { name: 'users', key: 'id' },
        { name: 'posts', key: 'user_id' },
      ],
    },
    scope,
    to,
  );

export const rows = <T = unknown[]>(d1: D1Database, sql: string, ...params: unknown[]): Promise<T[]> =>
  d1
    .prepare(sql)
    .bind(...params)
    .raw<T>();

export const write = (d1: D1Database, sql: string, ...params: unknown[]): Promise<D1Result> =>
  d1
    .prepare(sql)
    .bind(...params)
    .run();

/** What each database holds, past every router: `[shard, ...columns]`. */
export async function rowsOnShards(sql: string, ...params: unknown[]): Promise<unknown[][]> {
  const found = await Promise.all(
    Object.entries(databases()).map(async ([name, d1]) =>
      (await rows(d1, sql, ...params)).map((row) => [name, ...row]),
    ),
  );
  return found.flat();
}

/** What a mover does now and then: shards forget where keys went that have gone long ago. */
export async function collect(d1: D1Database): Promise<void> {
  await write(d1, "delete from _shard_moves where side <> 'pin'");
  await write(d1, 'update _shard_identity set version = version + 1');
  await write(
    d1,
    `delete from _shard_keys as k where at <> (select name from _shard_identity) and move > 0
      and not exists (select 1 from _shard_slots s where s.keyspace = k.keyspace and k.slot between lo and hi)`,
  );
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Where a mover can stand still: before its first step, and after each. */
export type Stop = 'begin' | Step;
const STOPS: readonly Stop[] = ['begin', ...STEPS];

/** From when on until when nobody may write what is moved. */
export const holdsWrites = (stop: Stop): boolean => ['freeze', 'land', 'release', 'home'].includes(stop);

/** What is moved. */
export const SCOPES = {
  'a key': { key: MOVING },
  slots: { slots: [slotOf(MOVING) - 30, slotOf(MOVING) + 30] },
} satisfies Record<string, Scope>;
export const KINDS = ['a key', 'slots'] as const;

/** Moves the scope from shard to shard, and lets a mover stand still once at each stop; with a key, on each kind of way. */
export async function atEachStop(
  kind: (typeof KINDS)[number],
  each: (mover: Mover, stop: Stop, to: Name) => Promise<void>,
): Promise<void> {
  let turn = 0;
  for (const stop of STOPS) {
    // A key's home is the source, then neither, then the target. That of slots is always the source.
    for (let way = 0; way < (kind === 'a key' ? 3 : 1); way++) {
      const to = NAMES[++turn % 3] as Name;
      const mover = await begin(SCOPES[kind], to);
      if (stop !== 'begin') await mover.through(stop);
      await each(mover, stop, to);
      await mover.finish();
    }
  }
}

/** What comes of work that begins while a mover stands still. If it has to wait, the mover goes on after a while. */
export async function whileStopped<T>(mover: Mover, waits: boolean, work: Promise<T>): Promise<T> {
  if (!waits) return work;
  const isDone = await Promise.race([work.then(() => true), pause(25).then(() => false)]);
  expect(isDone, `done although the mover stands at ${mover.last}`).toBe(false);
  await mover.finish();
  return work;
}

/** What a promise is rejected with. */
export const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`It did not fail: ${JSON.stringify(value)}`);
    },
    (error) => error,
  );
