import { eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ShardedConfig, shardedDrizzle } from '../../src';
import { failureOf, keysOf } from '../placement/fixture';
import { Fleet, type Isolate, PLACES, rowsEverywhere } from '../support/isolates';
import { Mortal } from '../support/mortal';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { MAX_SHARDS, shards } from '../support/shards';

const countries = sqliteTable('countries', { code: text('code').primaryKey(), name: text('name').notNull() });
const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  country: text('country').references(() => countries.code),
});
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id')
    .notNull()
    .references(() => users.id, { onDelete: 'cascade' }),
});
const schema = { countries, users, posts };
const DDL = [
  'create table countries (code text primary key, name text not null)',
  'create table users (id text primary key, country text references countries (code))',
  'create table posts (id integer primary key, user_id text not null references users (id) on delete cascade)',
  'create index posts_user on posts (user_id)',
];
const KEYS = keysOf('u', 120);

type Options = Pick<ShardedConfig, 'strategy' | 'moveTimeout'>;
const open = ({ config }: Pick<Isolate, 'config'>, options: Options = {}) =>
  shardedDrizzle({
    ...config,
    schema,
    tables: { posts: { key: 'userId' }, countries: { replicated: true } },
    moveTimeout: 5000,
    ...options,
  });
type Database = ReturnType<typeof open>;

async function filled(fleet: Fleet, options: Options = {}): Promise<Database> {
  const db = open(fleet.isolate(3), options);
  await db.insert(countries).values([
    { code: 'fr', name: 'France' },
    { code: 'it', name: 'Italia' },
  ]);
  await db.insert(users).values(KEYS.map((id, i) => ({ id, country: i % 2 ? 'fr' : 'it' })));
  await db.insert(posts).values(KEYS.flatMap((userId) => [{ userId }, { userId }]));
  return db;
}

/** How many users each shard has. */
async function spread(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { shard } of await rowsEverywhere('select id from users', shards(5)))
    counts[shard] = (counts[shard] ?? 0) + 1;
  return counts;
}

/** All rows through a router, and each user with its posts and its country by its key. */
async function expectWhole(db: Database, keys: readonly string[] = KEYS): Promise<void> {
  expect((await db.select({ id: users.id }).from(users)).map(({ id }) => id).sort()).toEqual([...keys].sort());
  expect(await db.$count(posts)).toBe(2 * KEYS.length);
  for (const id of keys.slice(0, 20)) {
    const joined = await db
      .select({ id: users.id, name: countries.name })
      .from(users)
      .innerJoin(countries, eq(countries.code, users.country))
      .where(eq(users.id, id));
    expect(joined).toHaveLength(1);
  }
}

describe.each(PLACES)('shards that come and go, the catalog in the %s', (place) => {
  beforeEach(async () => {
    await resetDatabases();
    await runEverywhere(shards(MAX_SHARDS), DDL);
  });

  it.each(['hash', 'round-robin'] as const)('adds a shard and evens out, strategy %s', async (strategy) => {
    const fleet = new Fleet(place);
    const old = await filled(fleet, { strategy });
    const db = open(fleet.isolate(4), { strategy });
    expect((await db.$cluster.shards()).map(({ state }) => state)).toEqual(['active', 'active', 'active', 'adding']);
    expect(await db.$cluster.addShard('s3')).toMatchObject({ state: 'done', rows: 2 });
    expect(await db.$cluster.addShard('s3')).toBeUndefined();
    expect(await db.$shard('s3').select().from(countries)).toHaveLength(2);

    const before = await spread();
    const dry = await db.$cluster.rebalance({ dryRun: true });
    expect(dry.job).toBeUndefined();
    expect(dry.plan).toMatchObject({ slots: 4096, rowsWritten: expect.any(Number) });
    expect(dry.plan.text).toContain('-> s3');
    expect(await spread()).toEqual(before);

    const { job } = await db.$cluster.rebalance({ rowsPerMove: 40 });
    expect(job).toMatchObject({ state: 'done', error: undefined });
    expect(job?.moves).toBeGreaterThan(2);
    const after = await spread();
    expect(after.s3).toBeGreaterThan(10);
    for (const share of (await db.$cluster.shards()).map(({ slotShare }) => slotShare)) expect(share).toBe(0.25);
    if (strategy === 'round-robin') expect(Object.values(after)).toEqual([30, 30, 30, 30]);
    await expectWhole(db);
    // A router of an old deployment, which has no binding for the new shard, says so instead of missing rows.
    expect(await failureOf(old.select().from(users))).toMatchObject({ code: 'MISSING_SHARD' });
    expect((await db.$cluster.rebalance()).plan.text).toBe('Nothing to move.');
    await db.insert(users).values(keysOf('later', 40).map((id) => ({ id, country: 'fr' })));
    await db.update(countries).set({ name: 'Italy' }).where(eq(countries.code, 'it'));
    expect(await db.$shard('s3').select().from(countries).where(eq(countries.code, 'it'))).toMatchObject([
      { name: 'Italy' },
    ]);
  });

  it.each(['hash', 'round-robin'] as const)('empties a shard, which leaves, strategy %s', async (strategy) => {
    const fleet = new Fleet(place);
    const db = await filled(fleet, { strategy });
    const stale = open(fleet.isolate(3), { strategy });
    await stale.select().from(users);
    await db.$cluster.reassign('u7', 's2');
    const { job, plan } = await db.$cluster.drain('s2', { rowsPerMove: 50 });
    expect(plan.text).toContain('s2 -> ');
    expect(job).toMatchObject({ state: 'done' });
    expect((await spread()).s2).toBeUndefined();
    expect((await db.$cluster.shards()).find(({ name }) => name === 's2')).toMatchObject({
      state: 'retired',
      slotShare: 0,
    });
    for (const router of [db, stale, open(fleet.isolate(3), { strategy }), open(fleet.isolate(2), { strategy })]) {
      await expectWhole(router);
      await router.update(posts).set({ userId: sql`user_id` });
    }
    // The stale one wanted some of these on the shard that has left.
    const more = keysOf('more', 30);
    await stale.insert(users).values(more.map((id) => ({ id, country: 'it' })));
    expect((await spread()).s2).toBeUndefined();
    await expectWhole(db, [...KEYS, ...more]);
    expect(await failureOf(db.$cluster.drain('s2'))).toMatchObject({ code: 'MOVE_REFUSED' });
  });

  it('stops after the move that it is in, and goes on', async () => {
    const db = await filled(new Fleet(place));
    const stops: number[] = [];
    const { job } = await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's1', {
      rowsPerMove: 60,
      onProgress: ({ id, moves }) => {
        stops.push(moves);
        if (moves === 2) void db.$cluster.pause(id);
      },
    });
    expect(job?.state).toBe('paused');
    expect(stops.length).toBeLessThan(6);
    await expectWhole(db);
    expect(await db.$cluster.resume()).toEqual([]);
    expect(await db.$cluster.resume(job?.id)).toMatchObject([{ state: 'done', error: undefined }]);
    expect(Object.keys(await spread())).toEqual(['s1']);
    await expectWhole(db);
    expect((await db.$cluster.moves()).every(({ state }) => state === 'done')).toBe(true);
  });

  it('takes a drain back that is cancelled', async () => {
    const fleet = new Fleet(place);
    const db = await filled(fleet, { strategy: 'round-robin' });
    let cancelled: Promise<unknown> | undefined;
    const { job } = await db.$cluster.drain('s2', {
      rowsPerMove: 20,
      onProgress: ({ id, moves }) => {
        if (moves === 1) cancelled ??= db.$cluster.cancel(id);
      },
    });
    await cancelled;
    expect(job?.state).toBe('cancelled');
    await expectWhole(db);
    expect((await db.$cluster.shards()).map(({ state }) => state)).toEqual(['active', 'active', 'active']);
    const later = keysOf('later', 9);
    for (const id of later) await db.insert(users).values({ id });
    expect(
      (await rowsEverywhere("select id from users where id like 'later%'")).filter(({ shard }) => shard === 's2'),
    ).toHaveLength(3);
  });

  it('moves keys to where a function wants them', async () => {
    const db = await filled(new Fleet(place), { strategy: 'round-robin' });
    const strategy = (key: string) => (key.endsWith('1') ? 's1' : key.endsWith('2') ? 's2' : 's0');
    const { job } = await db.$cluster.rebalance({ strategy });
    expect(job?.state).toBe('done');
    for (const { id, shard } of await rowsEverywhere<{ id: string }>('select id from users', shards(3)))
      expect([id, shard]).toEqual([id, strategy(id)]);
    await expectWhole(db);
  });

  it('refuses what would not be safe', async () => {
    const fleet = new Fleet(place);
    const db = await filled(fleet);
    const bad = [
      () => db.$cluster.drain('nowhere' as 's0'),
      () => db.$cluster.rebalance({ maxMoved: 2 }),
      () => db.$cluster.rebalance({ shards: ['nowhere' as 's0'] }),
      () => db.$cluster.moveSlots({ lo: 5, hi: 4 }, 's1'),
      () => db.$cluster.moveSlots({ lo: 0, hi: 16384 }, 's1'),
      () => db.$cluster.rebalance({ rowsPerMove: 0 }),
      () => db.$cluster.addShard('nowhere' as 's0'),
      () => db.$cluster.pause(99),
    ];
    for (const one of bad) expect(await failureOf(one())).toMatchObject({ code: 'CONFIG' });
    if (place === 'first D1') {
      expect(await failureOf(db.$cluster.drain('s0'))).toMatchObject({ code: 'MOVE_REFUSED' });
      expect(await failureOf(db.$cluster.drain('s1', { background: true }))).toMatchObject({ code: 'CONFIG' });
    }
    const wider = open(fleet.isolate(4));
    expect(await failureOf(wider.$cluster.reassign('u1', 's3'))).toMatchObject({
      code: 'MOVE_REFUSED',
      message: expect.stringContaining('addShard'),
    });
    await (shards(4).s3 as D1Database).prepare('alter table countries add column extra').run();
    expect(await failureOf(wider.$cluster.addShard('s3'))).toMatchObject({
      code: 'MOVE_REFUSED',
      tables: ['countries'],
    });
  });
});

describe('a change of the schema', () => {
  it('waits for moves, which wait for it', async () => {
    await resetDatabases();
    await runEverywhere(shards(MAX_SHARDS), DDL);
    const fleet = new Fleet('coordinator');
    const db = await filled(fleet);
    const mortal = new Mortal(fleet.isolate(3).config);
    const mover = shardedDrizzle({
      ...mortal.config,
      schema,
      tables: { posts: { key: 'userId' }, countries: { replicated: true } },
    });
    await mover.$cluster.shards();
    mortal.dooms('insert or replace into _shard_stage', 'stall before');
    const moving = mover.$cluster.moveSlots({ lo: 0, hi: 2000 }, 's2');
    await mortal.stopped;
    const hasty = open(fleet.isolate(3), { moveTimeout: 50 });
    expect(await failureOf(hasty.run(sql`alter table posts add column title text`))).toMatchObject({
      code: 'MOVE_IN_PROGRESS',
      message: expect.stringContaining('Nothing was changed'),
    });
    const altering = db.run(sql`alter table posts add column title text`);
    mortal.wake();
    await Promise.all([moving, altering]);
    await expectWhole(db);
    expect(
      await rowsEverywhere("select name from pragma_table_info('posts') where name = 'title'", shards(3)),
    ).toHaveLength(3);
    expect((await db.$cluster.moveSlots({ lo: 0, hi: 2000 }, 's1')).job?.state).toBe('done');
  });
});
