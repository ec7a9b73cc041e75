import { env } from 'cloudflare:workers';
import { eq, inArray, sql } from 'drizzle-orm';
import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { type PlaceKey, type Region, type ShardedConfig, type Strategy, shardedDrizzle } from '../../src';
import type { ShardMap, SlotRange } from '../../src/catalog/catalog';
import { chaoticKv } from '../support/chaotic-kv';
import { interceptedKv, type Kv } from '../support/counting-kv';
import { faultyD1 } from '../support/faulty-d1';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { rowsPerShard, runEverywhere } from '../support/seed';
import { shards } from '../support/shards';
import { type Database, failureOf, keysOf, migrated, open, orders, posts, schema, tables, users } from './fixture';

/** Long enough for what comes to rest, and short for what never does. */
const PATIENCE = { moveTimeout: 2000 };
const row = (id: string) => ({ id, name: 'x' });
const three = () => shards(3);
const owner = hashOwner(['s0', 's1', 's2']);

const visits = sqliteTable('visits', { id: text('id').primaryKey(), page: text('page') });

beforeEach(() => migrated());

/** Where each key's rows are: all shards that have one. */
async function placesOf(table: string, column = 'id', count = 3): Promise<Map<string, string[]>> {
  const found = await rowsEverywhere<{ key: string }>(`select "${column}" as key from "${table}"`, shards(count));
  const places = new Map<string, string[]>();
  for (const { key, shard } of found) places.set(key, [...(places.get(key) ?? []), shard]);
  return places;
}

const records = () => rowsEverywhere('select keyspace, key, at, move from _shard_keys order by keyspace, key', three());

const byRemainder: PlaceKey = (key, list) => list[Number(key.replace(/\D/g, '')) % list.length]?.name as string;

/** Every strategy, and what else its configuration needs. */
const STRATEGIES: readonly [string, Pick<ShardedConfig, 'strategy' | 'shardLocations' | 'targetRegion'>][] = [
  ['hash', { strategy: 'hash' }],
  ['round-robin', { strategy: 'round-robin' }],
  ['random', { strategy: 'random' }],
  [
    'location',
    { strategy: 'location', shardLocations: { s0: 'wnam', s1: 'weur', s2: 'weur' }, targetRegion: 'weur' as Region },
  ],
  ['a function', { strategy: byRemainder }],
];

/** Waits for all, whatever becomes of them, so that nothing goes on after a failure into the next test. */
async function all<T>(promises: readonly PromiseLike<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return settled.flatMap((one) => ('value' in one ? [one.value] : []));
}

describe.each([
  ['coordinator', 200],
  ['first D1', 40],
] as const)('new keys inserted by two isolates at once, the catalog in the %s', (place, count) => {
  // Where the catalog is matters to the strategies that ask it for something.
  it.each(place === 'coordinator' ? STRATEGIES : STRATEGIES.slice(0, 3))(
    `${count} under %s: one row each, on one shard, found by both`,
    async (_name, options) => {
      const kv = chaoticKv(env.KV, { seed: count, loses: 0.7 });
      const fleet = new Fleet(place, kv);
      const keys = keysOf('u', count);
      const a = open(fleet.isolate(), { ...options, ...PATIENCE });
      await a.insert(orders).values(keysOf('a', 6).map((id) => ({ id })));
      // The other one has a newer map: a keyspace has come.
      const b = shardedDrizzle({
        ...fleet.isolate().config,
        schema: { ...schema, visits },
        tables: { ...tables, visits: { keyspace: 'visits' } },
        ...(options as { strategy: Strategy }),
        ...PATIENCE,
      });
      await b.insert(orders).values(keysOf('b', 6).map((id) => ({ id })));
      expect(await fleet.catalog('select epoch from _shard_catalog_cluster')).toEqual([{ epoch: 2 }]);
      const insert = (db: Pick<Database, 'insert'>, id: string) => db.insert(users).values(row(id));
      const ignoring = keys.slice(0, count / 2);
      const failing = keys.slice(count / 2);
      const [, settled] = await all<unknown>([
        all([a, b].flatMap((db) => ignoring.map((id) => insert(db, id).onConflictDoNothing()))),
        Promise.allSettled([a, b].flatMap((db) => failing.map((id) => insert(db, id)))),
      ]);
      const places = await placesOf('users');
      expect([...places.keys()].sort()).toEqual([...keys].sort());
      for (const [id, on] of places) expect(on, id).toHaveLength(1);
      // Of each pair one has won, and the other was told why not.
      const results = settled as PromiseSettledResult<unknown>[];
      for (const i of failing.keys()) {
        const pair = [results[i], results[i + failing.length]].flatMap((one) => one ?? []);
        const lost = pair.flatMap((one) => (one.status === 'rejected' ? [String(one.reason.cause)] : []));
        expect(lost).toEqual([expect.stringContaining('UNIQUE constraint failed: users.id')]);
      }
      const cold = open(fleet.isolate(), { ...options, ...PATIENCE });
      const readers = [a, b, cold] as Pick<Database, 'select'>[];
      // A list in which most keys are unknown, and longer than what is looked up in KV; and a short one.
      const list = [...keys, ...keysOf('nobody', 1000)];
      const select = (db: Pick<Database, 'select'>) => db.select({ id: users.id }).from(users);
      const idsOf = (found: { id: string }[]) => found.map(({ id }) => id).sort();
      const answers = await all(readers.flatMap((db) => [select(db), select(db).where(inArray(users.id, list))]));
      for (const found of answers) expect(idsOf(found)).toEqual([...keys].sort());
      for (const found of await all(readers.map((db) => select(db).where(inArray(users.id, failing.slice(0, 20))))))
        expect(idsOf(found)).toEqual(failing.slice(0, 20).sort());
      // Keys of `a` by `b` and the other way round; and one that has just begun has only KV to go by.
      const begun = open(fleet.isolate(), { ...options, ...PATIENCE });
      const lookups = keys.flatMap((id, i) =>
        (i % 4 === 0 ? [a, b, begun] : i % 2 ? [a] : [b]).map((db) => ({ db, id })),
      );
      const found = await all(lookups.map(({ db, id }) => select(db).where(eq(users.id, id))));
      expect(found).toEqual(lookups.map(({ id }) => [{ id }]));
      // With many keys, all of it has happened.
      if (count === 200 && options.strategy !== 'hash')
        expect(Math.min(...Object.values(kv.happened)), JSON.stringify(kv.happened)).toBeGreaterThan(0);
    },
  );
});

describe('the same key', () => {
  it('in two tables of one keyspace is on one shard, in two keyspaces wherever each wants it', async () => {
    const fleet = new Fleet('coordinator', env.KV);
    const strategy = { default: () => 's1', visits: () => 's2' };
    const connect = () =>
      shardedDrizzle({
        ...fleet.isolate().config,
        schema: { ...schema, visits },
        tables: { ...tables, visits: { keyspace: 'visits' } },
        strategy,
        ...PATIENCE,
      });
    await runEverywhere(three(), ['create table visits (id text primary key, page text)']);
    const keys = keysOf('u', 12);
    // Every table is written by an isolate that has not seen the others.
    await all(keys.map((id) => connect().insert(users).values(row(id))));
    await all(keys.map((id) => connect().insert(visits).values({ id, page: '/' })));
    await all(keys.map((id, i) => connect().insert(orders).values({ id, total: i })));
    await all(keys.map((id, i) => connect().insert(posts).values({ id: i, userId: id })));
    const on = (shard: string) => new Map(keys.map((id) => [id, [shard]]));
    expect(await placesOf('users')).toEqual(on('s1'));
    expect(await placesOf('orders')).toEqual(on('s1'));
    expect(await placesOf('posts', 'user_id')).toEqual(on('s1'));
    expect(await placesOf('visits')).toEqual(on('s2'));
    for (const id of keys) {
      const db = connect();
      expect(await db.select().from(visits).where(eq(visits.id, id))).toEqual([{ id, page: '/' }]);
      const joined = await db.select().from(users).innerJoin(orders, eq(orders.id, users.id)).where(eq(users.id, id));
      expect(joined).toHaveLength(1);
    }
  });

  it.each(PLACES)(
    'under hash in one isolate and under round-robin in another has one row: catalog in the %s',
    async (place) => {
      const fleet = new Fleet(place, env.KV);
      const hash = open(fleet.isolate(), PATIENCE);
      await hash.$cluster.shards();
      const other = open(fleet.isolate(), { strategy: 'round-robin', ...PATIENCE });
      await other.$cluster.shards();
      const keys = keysOf('u', 24);
      await all(
        [hash, other].flatMap((db) => keys.map((id) => db.insert(users).values(row(id)).onConflictDoNothing())),
      );
      const places = await placesOf('users');
      expect([...places.keys()].sort()).toEqual([...keys].sort());
      for (const [id, on] of places) expect(on, id).toHaveLength(1);
      for (const db of [hash, other, open(fleet.isolate(), PATIENCE)]) {
        expect(await db.select().from(users)).toHaveLength(24);
        for (const id of keys) expect(await db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
      }
    },
  );

  it('may be any text', async () => {
    const fleet = new Fleet('coordinator', env.KV);
    const strategy: PlaceKey = (key) => (owner(key) === 's2' ? 's0' : 's2');
    const keys = [
      '',
      ' ',
      "it's",
      '"q"',
      '["a",1]',
      '%',
      '\\',
      'null',
      '1',
      '1.0',
      'é',
      'e\u0301',
      '🦊',
      '\n',
      'x'.repeat(700),
    ];
    await open(fleet.isolate(), { strategy }).insert(users).values(keys.map(row));
    const other = open(fleet.isolate(), { strategy });
    for (const id of keys) {
      expect(await other.select().from(users).where(eq(users.id, id)), id).toEqual([row(id)]);
      await open(fleet.isolate(), { strategy }).insert(orders).values({ id, total: 1 });
    }
    expect(await placesOf('orders')).toEqual(await placesOf('users'));
    for (const [key, on] of await placesOf('users')) expect(on, key).toEqual([strategy(key, [])]);
  });
});

describe('statements about one key are for one shard, whatever this isolate knows of it', () => {
  const connect = (fleet: Fleet) => open(fleet.isolate(), { strategy: () => 's1', ...PATIENCE });
  /** One key whose home is where the strategy wants it, and two whose home is elsewhere. */
  const keys = ['s0', 's1', 's2'].map((shard) => keysOf('k', 100).find((key) => owner(key) === shard) as string);
  const onS1 = (times = 1) => new Map(keys.map((id) => [id, Array(times).fill('s1')]));

  it('a batch writes a new key in two tables', async () => {
    const fleet = new Fleet('coordinator');
    for (const [i, id] of keys.entries()) {
      const db = connect(fleet);
      await db.batch([db.insert(users).values(row(id)), db.insert(posts).values({ id: i, userId: id })]);
    }
    expect(await placesOf('users')).toEqual(onS1());
    expect(await placesOf('posts', 'user_id')).toEqual(onS1());
  });

  it('a batch looks for a new key, writes it, and finds it', async () => {
    const fleet = new Fleet('coordinator');
    for (const id of keys) {
      const db = connect(fleet);
      const find = () => db.select().from(users).where(eq(users.id, id));
      const [before, , after] = await db.batch([find(), db.insert(users).values(row(id)), find()]);
      expect([before, after]).toEqual([[], [row(id)]]);
    }
    expect(await placesOf('users')).toEqual(onS1());
  });

  it('a batch changes an old key and adds to it', async () => {
    const fleet = new Fleet('coordinator');
    await connect(fleet).insert(users).values(keys.map(row));
    for (const [i, id] of keys.entries()) {
      const db = connect(fleet);
      await db.batch([
        db.update(users).set({ name: 'y' }).where(eq(users.id, id)),
        db.insert(posts).values({ id: i, userId: id }),
      ]);
      const again = connect(fleet);
      await again.batch([
        again.insert(posts).values({ id: 10 + i, userId: id }),
        again.delete(users).where(eq(users.id, id)),
      ]);
    }
    expect(await placesOf('users')).toEqual(new Map());
    expect(await placesOf('posts', 'user_id')).toEqual(onS1(2));
  });

  it('an insert reads a row of its own key', async () => {
    const fleet = new Fleet('coordinator');
    await connect(fleet).insert(users).values(keys.map(row));
    for (const [i, id] of keys.entries()) {
      const name = sql`(select name from users where id = ${id})`;
      await connect(fleet).run(sql`insert into posts (id, user_id, body) values (${i}, ${id}, ${name})`);
    }
    expect(await placesOf('posts', 'user_id')).toEqual(onS1());
    expect((await connect(fleet).select().from(posts)).map(({ body }) => body)).toEqual(['x', 'x', 'x']);
  });
});

describe('where new keys go', () => {
  const even = (rows: Record<string, number>, within: number) =>
    expect(
      Math.max(...Object.values(rows)) - Math.min(...Object.values(rows)),
      JSON.stringify(rows),
    ).toBeLessThanOrEqual(within);

  it.each([3, 4])('round-robin: in turn within an isolate, over %i shards', async (count) => {
    const db = open(new Fleet('coordinator').isolate(count), { strategy: 'round-robin' });
    for (const id of keysOf('u', 24)) await db.insert(users).values(row(id));
    even(await rowsPerShard(shards(count), 'users'), 1);
    await db.insert(users).values(keysOf('v', 100).map(row));
    even(await rowsPerShard(shards(count), 'users'), 3);
  });

  it.each([3, 4])('round-robin: within a block of even, from two isolates at once, over %i shards', async (count) => {
    const fleet = new Fleet('coordinator');
    const databases = [1, 2].map(() => open(fleet.isolate(count), { strategy: 'round-robin' }));
    for (const db of databases) await db.$cluster.shards();
    await all(databases.flatMap((db, i) => keysOf(`${i}-`, 24).map((id) => db.insert(users).values(row(id)))));
    even(await rowsPerShard(shards(count), 'users'), 32);
  });

  it.each([3, 4])('round-robin: from isolates that insert one key each, over %i shards', async (count) => {
    const fleet = new Fleet('coordinator');
    for (const id of keysOf('u', 36))
      await open(fleet.isolate(count), { strategy: 'round-robin' }).insert(users).values(row(id));
    even(await rowsPerShard(shards(count), 'users'), 12);
  });

  it('random: by weight', async () => {
    const db = open(new Fleet('coordinator').isolate(), { strategy: 'random', shardWeights: { s1: 3 } });
    for (let i = 0; i < 3; i++) await db.insert(users).values(keysOf(`${i}-`, 200).map(row));
    const { s0 = 0, s1 = 0, s2 = 0 } = await rowsPerShard(three(), 'users');
    // 600 keys at 1/5, 3/5, 1/5: five standard deviations are 60 and 49.
    expect([s0, s1, s2].map((rows, i) => Math.abs(rows - (i === 1 ? 360 : 120)) < 60)).toEqual([true, true, true]);
  });

  it('a function: what it says, of the shards that take new keys; anything else is refused', async () => {
    const seen: unknown[] = [];
    const fleet = new Fleet('coordinator');
    const db = open(fleet.isolate(), {
      shardLocations: { s1: { region: 'weur', priority: 2 } },
      strategy: (key, list) => {
        seen.push(list);
        return key === 'lost' ? 'nowhere' : 's2';
      },
    });
    await db.insert(users).values([row('a'), row('b')]);
    expect(await rowsPerShard(three(), 'users')).toEqual({ s0: 0, s1: 0, s2: 2 });
    expect(seen[0]).toMatchObject([
      { name: 's0', weight: 1, priority: 1 },
      { name: 's1', weight: 1, priority: 2, region: 'weur' },
      { name: 's2', weight: 1, priority: 1 },
    ]);
    expect(await failureOf(db.insert(users).values(row('lost')))).toMatchObject({ code: 'CONFIG' });
    expect(await records()).not.toContainEqual(expect.objectContaining({ key: 'lost' }));
  });

  describe('location', () => {
    const LOCATIONS = {
      strategy: 'location',
      shardLocations: { s0: 'wnam', s1: 'weur', s2: { region: 'weur', priority: 3 }, s3: 'apac' },
    } as const;

    it('near to targetRegion, by priority among the shards of a region', async () => {
      const db = open(new Fleet('coordinator').isolate(4), { ...LOCATIONS, targetRegion: 'eeur' });
      await db.insert(users).values(keysOf('u', 400).map(row));
      const { s0, s1 = 0, s2 = 0, s3 } = await rowsPerShard(shards(4), 'users');
      expect([s0, s3]).toEqual([0, 0]);
      // 100 and 300: five standard deviations are 43.
      expect(Math.abs(s1 - 100)).toBeLessThan(44);
      expect(s1 + s2).toBe(400);
    });

    it('near to the request that $near names, whatever targetRegion says', async () => {
      const db = open(new Fleet('coordinator').isolate(4), { ...LOCATIONS, targetRegion: 'weur' });
      const sanFrancisco = { latitude: '37.77', longitude: '-122.42', continent: 'NA', colo: 'SJC' };
      for (const id of keysOf('c', 8)) await db.$near(sanFrancisco).insert(users).values(row(id));
      for (const id of keysOf('d', 8)) await db.$near({ continent: 'AS' }).insert(users).values(row(id));
      for (const id of keysOf('e', 8)) await db.$near('oc').insert(users).values(row(id));
      // A request that comes from nowhere.
      for (const id of keysOf('f', 8)) await db.$near(undefined).insert(users).values(row(id));
      const places = await placesOf('users', 'id', 4);
      const of = (prefix: string) => new Set(keysOf(prefix, 8).flatMap((id) => places.get(id) ?? []));
      expect([of('c'), of('d'), of('e')]).toEqual([new Set(['s0']), new Set(['s3']), new Set(['s3'])]);
      expect([...of('f')].every((shard) => shard === 's1' || shard === 's2')).toBe(true);
      // Where a key is does not change with who asks for it next.
      expect(await db.$near('oc').select().from(users).where(eq(users.id, 'c0'))).toEqual([row('c0')]);
      await db.$near('oc').insert(orders).values({ id: 'c0', total: 1 });
      expect(await placesOf('orders', 'id', 4)).toEqual(new Map([['c0', ['s0']]]));
    });

    it.each(PLACES)('the next nearest while one is draining: catalog in the %s', async (place) => {
      const fleet = new Fleet(place);
      const options = { ...LOCATIONS, targetRegion: 'weur' } as const;
      await open(fleet.isolate(4), options).insert(users).values(row('before'));
      await drain(fleet, 's1');
      const db = open(fleet.isolate(4), options);
      await db.insert(users).values(keysOf('u', 20).map(row));
      expect((await rowsPerShard(shards(4), 'users')).s2).toBeGreaterThanOrEqual(20);
      await drain(fleet, 's2');
      await open(fleet.isolate(4), options).insert(users).values(keysOf('v', 20).map(row));
      // San Francisco is nearer to Frankfurt than Singapore.
      const { s0, s3 } = await rowsPerShard(shards(4), 'users');
      expect([s0, s3]).toEqual([20, 0]);
      expect(await db.select().from(users)).toHaveLength(41);
    });
  });

  it.each([
    ['round-robin', 'round-robin'],
    ['random', 'random'],
    ['a function', (_key: string, list: readonly { name: string }[]) => list.at(-1)?.name as string],
  ] as const)('not to a shard that is draining: %s', async (_name, strategy) => {
    const fleet = new Fleet('coordinator');
    const before = open(fleet.isolate(), { strategy });
    await before.insert(users).values(keysOf('u', 9).map(row));
    const held = (await rowsPerShard(three(), 'users')).s2;
    await drain(fleet, 's2');
    const db = open(fleet.isolate(), { strategy });
    expect((await db.$cluster.shards()).map(({ state }) => state)).toEqual(['active', 'active', 'draining']);
    await db.insert(users).values(keysOf('v', 30).map(row));
    expect((await rowsPerShard(three(), 'users')).s2).toBe(held);
    // Its own keys it still serves, and takes their new rows.
    const there = (await rowsEverywhere<{ id: string }>('select id from users', three())).filter(
      ({ shard }) => shard === 's2',
    );
    for (const { id } of there) await db.insert(orders).values({ id, total: 1 });
    expect((await rowsPerShard(three(), 'orders')).s2).toBe(there.length);
    expect(await db.select().from(users)).toHaveLength(39);
    await drain(fleet, 's0');
    await drain(fleet, 's1');
    const none = open(fleet.isolate(), { strategy });
    expect(await failureOf(none.insert(users).values(row('w')))).toMatchObject({ code: 'CONFIG' });
  });
});

/** As the moves issue will: the state in the catalog, with an epoch. */
async function drain(fleet: Fleet, shard: string): Promise<void> {
  await fleet.catalog(`update _shard_catalog_shards set state = 'draining' where name = '${shard}'`);
  await fleet.catalog('update _shard_catalog_cluster set epoch = epoch + 1');
}

describe('a strategy that is changed', () => {
  it('keeps all old keys findable and writable, and children beside their parents', async () => {
    const fleet = new Fleet('coordinator', chaoticKv(env.KV, { seed: 3 }));
    const stages: Strategy[] = ['hash', 'round-robin', 'hash', 'random'];
    const made: string[] = [];
    const isolates: Database[] = [];
    for (const [stage, strategy] of stages.entries()) {
      const db = open(fleet.isolate(), { strategy, ...PATIENCE });
      isolates.push(db);
      const fresh = keysOf(`${stage}-`, 12);
      await all(fresh.map((id) => db.insert(users).values(row(id))));
      made.push(...fresh);
      // Those that came before as well: by the newest isolate, and by one that still has the first strategy.
      await all(made.map((userId, i) => db.insert(posts).values({ id: 1000 * stage + i, userId, body: `${stage}` })));
      await all(
        made.map((id) =>
          db
            .update(users)
            .set({ name: `${stage}` })
            .where(eq(users.id, id)),
        ),
      );
      await all(
        made.map((id) =>
          (isolates[0] as Database).update(users).set({ name: sql`name || '!'` }).where(eq(users.id, id)),
        ),
      );
      for (const router of [...isolates, open(fleet.isolate(), { strategy, ...PATIENCE })]) {
        const found = await router.select().from(users);
        expect(found.map(({ id }) => id).sort()).toEqual([...made].sort());
        expect(new Set(found.map(({ name }) => name))).toEqual(new Set([`${stage}!`]));
      }
      const places = await placesOf('users');
      for (const [userId, on] of await placesOf('posts', 'user_id')) {
        expect(new Set(on), userId).toEqual(new Set(places.get(userId)));
        expect(places.get(userId)).toHaveLength(1);
      }
    }
    // Keys of hash are at home, also those that came after round-robin.
    for (const [id, [shard]] of await placesOf('users')) if (/^[02]-/.test(id)) expect(shard, id).toBe(owner(id));
    const turns = [...(await placesOf('users'))].filter(([id]) => id.startsWith('1-')).map(([, [shard]]) => shard);
    expect(new Set(turns).size).toBe(3);
  });

  it('does not give a key to another shard whose row came before there were records', async () => {
    const fleet = new Fleet('first D1');
    const keys = keysOf('u', 30);
    // The row is in one table only, and the new one goes to another.
    await open(fleet.isolate())
      .insert(posts)
      .values(keys.map((userId, id) => ({ id, userId })));
    const db = open(fleet.isolate(), { strategy: 'random' });
    await db.insert(users).values(keys.map(row));
    expect(await placesOf('users')).toEqual(await placesOf('posts', 'user_id'));
    expect(await records()).toEqual([]);
  });
});

describe('a record', () => {
  it('is neither made nor changed by what finds or changes rows only', async () => {
    const fleet = new Fleet('coordinator', env.KV);
    const strategy: PlaceKey = (key) => (owner(key) === 's2' ? 's0' : 's2');
    await open(fleet.isolate(), { strategy }).insert(users).values(keysOf('u', 20).map(row));
    const before = await records();
    expect(before.length).toBeGreaterThan(20);
    const nobody = keysOf('nobody', 9);
    for (const strategyNow of [strategy, 'hash', 'round-robin'] as const) {
      const connect = () => open(fleet.isolate(), { strategy: strategyNow, ...PATIENCE });
      const runs: ((db: Database) => PromiseLike<unknown>)[] = [
        ...[...nobody, 'u0', 'u1'].map((id) => (db: Database) => db.select().from(users).where(eq(users.id, id))),
        (db) => db.select().from(users).where(inArray(users.id, nobody)),
        (db) =>
          db
            .select()
            .from(users)
            .where(inArray(users.id, keysOf('nobody', 1500))),
        (db) => db.select().from(users),
        (db) => db.$count(users),
        (db) => db.$forKey('nobody1'),
        (db) => db.$explain(db.insert(users).values(nobody.map(row))),
        (db) => db.select().from(users).leftJoin(posts, eq(posts.userId, users.id)).where(eq(users.id, 'nobody2')),
        (db) => db.update(users).set({ name: 'y' }).where(eq(users.id, 'nobody3')),
        (db) => db.delete(users).where(inArray(users.id, nobody)),
        (db) => db.update(users).set({ name: 'y' }),
        (db) => db.batch([db.select().from(users).where(eq(users.id, 'nobody4')), db.select().from(orders)]),
      ];
      for (const run of runs) await run(connect());
      expect(await records()).toEqual(before);
    }
  });

  it('is not made by an insert under hash', async () => {
    const db = open(new Fleet('coordinator', env.KV).isolate());
    await db.insert(users).values(keysOf('u', 20).map(row));
    expect(await records()).toEqual([]);
  });

  it.each([
    ['with KV', true],
    ['without KV', false],
  ])('that a router made which then died is used by the next: %s', async (_name, withKv) => {
    const fleet = new Fleet('coordinator', ...(withKv ? [env.KV] : []));
    const keys = keysOf('k', 12);
    const isolate = fleet.isolate();
    await open(isolate, { strategy: () => 's1' }).$cluster.shards();
    const failOn = (text: string) => (text.startsWith('insert into "users"') ? new Error('gone') : undefined);
    const dying = open(isolate, { strategy: () => 's1' });
    const dead = shardedDrizzle({
      ...isolate.config,
      shards: Object.fromEntries(
        Object.entries(isolate.config.shards).map(([name, d1]) => [name, faultyD1(d1, { failOn })]),
      ),
      schema,
      tables,
      strategy: () => 's1',
    });
    for (const id of keys) await failureOf(dead.insert(users).values(row(id)));
    expect((await records()).map(({ at }) => at)).toEqual(Array(12).fill('s1'));
    // Nobody has written a row yet: there is nothing, and that is the answer.
    for (const id of keys) {
      expect(
        await open(fleet.isolate(), { ...PATIENCE, strategy: () => 's2' })
          .select()
          .from(users)
          .where(eq(users.id, id)),
      ).toEqual([]);
    }
    expect(await dying.select().from(users)).toEqual([]);
    // Another router wants it elsewhere, and finds that it has been decided.
    for (const id of keys)
      await open(fleet.isolate(), { ...PATIENCE, strategy: () => 's2' })
        .insert(users)
        .values(row(id));
    expect(await placesOf('users')).toEqual(new Map(keys.map((id) => [id, ['s1']])));
    for (const id of keys)
      expect(await open(fleet.isolate(), PATIENCE).select().from(users).where(eq(users.id, id))).toEqual([row(id)]);
  });
});

describe('KV', () => {
  const strategy: PlaceKey = (key) => (owner(key) === 's2' ? 's0' : 's2');
  const keys = keysOf('u', 12);

  const turning = (names: readonly string[]) => {
    let turn = 0;
    return () => names[turn++ % names.length] as string;
  };

  /** All that can be done by key, by isolates that know nothing but what this KV tells them. */
  async function expectUsable(fleet: Fleet, kv: Kv): Promise<void> {
    const connect = () => open(fleet.isolate(3, kv), { strategy, ...PATIENCE });
    for (const id of keys) expect(await connect().select().from(users).where(eq(users.id, id))).toHaveLength(1);
    for (const id of keys.slice(0, 3)) {
      const db = connect();
      await db.update(users).set({ name: 'y' }).where(eq(users.id, id));
      await connect().insert(orders).values({ id, total: 1 });
      await connect().delete(users).where(eq(users.id, id));
      await connect().insert(users).values(row(id));
    }
    const [listed, scattered] = await all([
      connect().select().from(users).where(inArray(users.id, keys)),
      connect().select().from(users),
    ]);
    expect([listed?.length, scattered?.length]).toEqual([12, 12]);
    for (const [id, on] of await placesOf('users')) expect(on, id).toEqual([strategy(id, [])]);
  }

  const seeded = async () => {
    const fleet = new Fleet('coordinator', env.KV);
    await open(fleet.isolate(), { strategy }).insert(users).values(keys.map(row));
    return fleet;
  };

  it('that answers with cached misses for ever does no harm', async () => {
    const misses = interceptedKv(env.KV, async (operation, run) => {
      if (operation.kind === 'write') return run();
      return operation.many ? new Map(operation.keys.map((key) => [key, null])) : null;
    });
    await expectUsable(await seeded(), misses);
  });

  it('that fails at every call does no harm', async () => {
    const failing = interceptedKv(env.KV, () => Promise.reject(new Error('KV GET failed: 500')));
    await expectUsable(await seeded(), failing);
  });

  it.each([
    ['a shard that has never had the key', () => 's1'],
    ['any shard, each time another', turning(['s0', 's1', 's2', 'gone'])],
  ])('whose hints all name %s does no harm', async (_name, wrong) => {
    const fleet = await seeded();
    const poisoned = interceptedKv(env.KV, (operation, run) =>
      operation.kind === 'read' && operation.many
        ? Promise.resolve(new Map(operation.keys.map((key) => [key, wrong()])))
        : run(),
    );
    await expectUsable(fleet, poisoned);
  });

  const withRanges = (map: ShardMap, change: (range: SlotRange) => SlotRange | undefined): ShardMap => {
    const keyspaces = Object.entries(map.keyspaces).map(([name, keyspace]) => [
      name,
      { ...keyspace, ranges: keyspace.ranges.flatMap((range) => change(range) ?? []) },
    ]);
    return { ...map, epoch: 0, keyspaces: Object.fromEntries(keyspaces) };
  };
  /** What was published, as it could have been long ago, or should never be. */
  const WRONG_MAPS: readonly [string, (map: ShardMap) => unknown][] = [
    ['no JSON', () => '{'],
    ['something else', () => ['no', 'map']],
    ['of another cluster', (map) => ({ ...map, cluster: 'other' })],
    ['of when s1 owned all slots', (map) => withRanges(map, (range) => ({ ...range, shard: 's1' }))],
    [
      'of when a shard that has gone owned some',
      (map) => withRanges(map, (range) => (range.lo > 9000 ? { ...range, shard: 'gone' } : range)),
    ],
    ['of when slots had no owner', (map) => withRanges(map, (range) => (range.lo > 9000 ? undefined : range))],
    ['of when the digests had another base', (map) => ({ ...map, epoch: 0, base: 12345 })],
    ['of an epoch that was never reached', (map) => ({ ...map, epoch: map.epoch + 1000 })],
  ];

  it.each(WRONG_MAPS)('whose map is %s does no harm', async (_name, change) => {
    const fleet = await seeded();
    const name = `sharded-drizzle:${fleet.cluster}:map`;
    const wrong = change((await env.KV.get<ShardMap>(name, 'json')) as ShardMap);
    const text = typeof wrong === 'string' ? wrong : JSON.stringify(wrong);
    // It stays so, whatever is written.
    const stuck = interceptedKv(env.KV, async (operation, run) => {
      if (operation.kind === 'write') return operation.key === name ? undefined : run();
      return operation.keys[0] === name ? JSON.parse(text) : run();
    });
    await expectUsable(fleet, stuck);
  });

  it('holds hints that expire, and only of keys that are not at home', async () => {
    const fleet = await seeded();
    const listed = await env.KV.list({ prefix: `sharded-drizzle:${fleet.cluster}:key:` });
    expect(listed.keys).toHaveLength(12);
    for (const { expiration } of listed.keys) expect(expiration).toBeGreaterThan(Date.now() / 1000);
    await open(fleet.isolate(), { strategy: owner }).insert(users).values(keysOf('home', 5).map(row));
    expect((await env.KV.list({ prefix: `sharded-drizzle:${fleet.cluster}:key:` })).keys).toHaveLength(12);
  });
});

describe('many homes', () => {
  const lists = [4, 12, 150, 1500];

  it.each(lists)(
    'a list of %i keys that are anywhere is read and written by an isolate that knows none',
    async (count) => {
      const fleet = new Fleet('coordinator');
      const options = { strategy: byRemainder, ...PATIENCE };
      const keys = keysOf('u', count);
      const seeding = open(fleet.isolate(7), options);
      for (let i = 0; i < count; i += 400) await seeding.insert(users).values(keys.slice(i, i + 400).map(row));
      const select = () =>
        open(fleet.isolate(7), options).select({ id: users.id }).from(users).where(inArray(users.id, keys));
      expect((await select()).map(({ id }) => id).sort()).toEqual([...keys].sort());
      await open(fleet.isolate(7), options).update(users).set({ name: 'y' }).where(inArray(users.id, keys));
      expect(await seeding.$count(users, eq(users.name, 'y'))).toBe(count);
    },
  );

  it('are followed however many have given something up before', async () => {
    const fleet = new Fleet('coordinator');
    const options = { strategy: byRemainder, ...PATIENCE };
    await open(fleet.isolate(7), options).$cluster.shards();
    // As after moves: routers learn the versions of shards one by one.
    for (const database of Object.values(shards(7)))
      await database.prepare('update _shard_identity set version = 5').run();
    const keys = keysOf('u', 60);
    await open(fleet.isolate(7), options).insert(users).values(keys.map(row));
    const listed = await open(fleet.isolate(7), options).select().from(users).where(inArray(users.id, keys));
    expect(listed).toHaveLength(60);
  });
});
