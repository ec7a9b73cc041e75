import { env } from 'cloudflare:workers';
import { eq, inArray, sql } from 'drizzle-orm';
import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedD1, shardedDrizzle } from '../../src';
import { interceptedKv } from '../support/counting-kv';
import { faultyD1 } from '../support/faulty-d1';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { rowsPerShard } from '../support/seed';
import { shards } from '../support/shards';
import { failureOf, keysOf, migrated, open, orders, posts, users } from './fixture';

const OVERLOADED = 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.';
/** Long enough for what comes to rest, and short for what never does. */
const PATIENCE = { moveTimeout: 1000 };

/** A call to the catalog in a coordinator, and the SQL of one in a D1. */
const failConfirm = (call: string) =>
  /^confirm$|insert into _shard_catalog_enrolled/.test(call) ? new Error(OVERLOADED) : undefined;

const visits = sqliteTable('visits', { id: text('id').primaryKey(), page: text('page') });
const countries = sqliteTable('countries', { code: text('code').primaryKey(), name: text('name') });

interface Identity {
  readonly cluster: string;
  readonly name: string;
  readonly digest: number;
}

const identities = (count: number) =>
  rowsEverywhere<Identity>('select cluster, name, digest from _shard_identity', shards(count));

/** One cluster, each database knows its name, each slot is owned once, and the digests add up to nothing. */
async function expectWhole(count: number, keyspaces: readonly string[] = ['default']): Promise<string> {
  const known = await identities(count);
  expect(known.map(({ shard, name }) => [shard, name])).toEqual(Object.keys(shards(count)).map((name) => [name, name]));
  expect(new Set(known.map(({ cluster }) => cluster)).size).toBe(1);
  expect(known.reduce((sum, { digest }) => sum ^ BigInt(digest), 0n)).toBe(0n);
  const ranges = await rowsEverywhere<{ keyspace: string; lo: number; hi: number }>(
    'select keyspace, lo, hi from _shard_slots order by lo',
    shards(count),
  );
  for (const keyspace of keyspaces) {
    const owned = ranges.filter((range) => range.keyspace === keyspace).sort((a, b) => a.lo - b.lo);
    let next = 0;
    for (const { lo, hi } of owned) {
      expect(lo, `of ${keyspace} in ${JSON.stringify(owned)}`).toBe(next);
      next = hi + 1;
    }
    expect(next).toBe(16384);
  }
  expect(new Set(ranges.map(({ keyspace }) => keyspace))).toEqual(new Set(keyspaces));
  return (known[0] as Identity).cluster;
}

/** A KV namespace that has not seen the newest map yet. */
const staleMap = (published: string) =>
  interceptedKv(env.KV, async (operation, run) => {
    const isMap = operation.kind === 'read' && !operation.many && operation.json;
    return isMap ? JSON.parse(published) : run();
  });

beforeEach(() =>
  migrated([
    'create table visits (id text primary key, page text)',
    'create table countries (code text primary key, name text)',
  ]),
);

describe.each(PLACES)('first contact, the catalog in the %s', (place) => {
  it('makes tables, identities, slot ranges, epoch 1, and the map in KV', async () => {
    const fleet = new Fleet(place, env.KV);
    const db = open(fleet.isolate());
    expect(await db.select().from(users)).toEqual([]);
    const cluster = await expectWhole(3);
    for (const { shard, tables } of await rowsEverywhere<{ tables: string }>(
      `select group_concat(name, ' ') as tables from (select name from sqlite_master
        where type = 'table' and name glob '_shard_*' and name not glob '_shard_catalog_*' order by name)`,
      shards(3),
    )) {
      expect(tables, shard).toBe(
        '_shard_adopting _shard_closed _shard_identity _shard_joined _shard_keys _shard_keyspaces _shard_move_keys _shard_moves _shard_scope _shard_slots _shard_stage _shard_writes',
      );
    }
    const stats = await db.$cluster.stats();
    expect(stats.epoch).toBe(1);
    for (const { slotShare } of stats.shards) expect(slotShare).toBeCloseTo(1 / 3, 3);
    const published = await env.KV.get(`sharded-drizzle:${fleet.cluster}:map`, 'json');
    expect(published).toMatchObject({ cluster, epoch: 1, base: 0, keyspaces: { default: { directory: false } } });
    expect((published as { shards: unknown[] }).shards).toMatchObject(
      ['s0', 's1', 's2'].map((name) => ({ name, state: 'active', weight: 1 })),
    );
  });

  it('gives each shard of first contact slots by its weight', async () => {
    const db = open(new Fleet(place).isolate(), { shardWeights: { s1: 2 } });
    const shares = (await db.$cluster.shards()).map(({ slotShare }) => slotShare);
    for (const [i, share] of [0.25, 0.5, 0.25].entries()) expect(shares[i]).toBeCloseTo(share, 3);
    await expectWhole(3);
  });

  it('by eight isolates at once makes one cluster, and loses no row of theirs', async () => {
    const fleet = new Fleet(place, env.KV);
    const databases = Array.from({ length: 8 }, () => open(fleet.isolate()));
    const keys = keysOf('u', 8);
    await Promise.all(
      databases.map(async (db, i) => {
        if (i % 3 === 0) await db.$cluster.shards();
        if (i % 3 === 1) await db.select().from(users);
        await db.insert(users).values({ id: keys[i] as string, name: `${i}` });
      }),
    );
    await expectWhole(3);
    expect(await fleet.catalog('select epoch from _shard_catalog_cluster')).toEqual([{ epoch: 1 }]);
    expect(await fleet.catalog('select name from _shard_catalog_shards order by position')).toHaveLength(3);
    expect(await fleet.catalog('select shard from _shard_catalog_enrolled')).toHaveLength(3);
    const owner = hashOwner(['s0', 's1', 's2']);
    for (const { id, shard } of await rowsEverywhere<{ id: string }>('select id from users', shards(3)))
      expect(shard).toBe(owner(id));
    for (const db of databases) expect((await db.select().from(users)).map(({ id }) => id)).toEqual(keys);
  });

  it.each(['s0', 's1', 's2'])('that fails on %s is finished by the next', async (name) => {
    const fleet = new Fleet(place, env.KV);
    const isolate = fleet.isolate();
    const failOn = (text: string) => (text.includes('_shard_identity') ? new Error(OVERLOADED) : undefined);
    const broken = faultyD1(isolate.config.shards[name] as D1Database, { failOn });
    const first = open(isolate, { ...PATIENCE });
    const half = { ...isolate.config, shards: { ...isolate.config.shards, [name]: broken } };
    // With the catalog in it, the broken database is another binding: an isolate of its own.
    const failing = shardedD1(half);
    expect(await failureOf(failing.prepare('select * from users').all())).toMatchObject({
      code: 'SHARD_QUERY',
      shard: name,
    });
    const [before] = await fleet.catalog('select id, epoch from _shard_catalog_cluster');
    expect(before?.epoch).toBe(1);
    // Not published before everybody knows.
    expect(await env.KV.get(`sharded-drizzle:${fleet.cluster}:map`)).toBeNull();
    await first.insert(users).values(keysOf('u', 20).map((id) => ({ id, name: 'x' })));
    expect(await expectWhole(3)).toBe(before?.id);
    expect(await fleet.catalog('select id, epoch from _shard_catalog_cluster')).toEqual([before]);
    expect(await open(fleet.isolate()).select().from(users)).toHaveLength(20);
  });

  it('whose confirmation is lost is confirmed by the next, and nothing is told twice', async () => {
    const fleet = new Fleet(place);
    const isolate = fleet.isolate();
    isolate.failCatalog = failConfirm;
    await failureOf(open(isolate).select().from(users));
    expect(await fleet.catalog('select * from _shard_catalog_enrolled')).toEqual([]);
    const cluster = await expectWhole(3);
    isolate.failCatalog = undefined;
    await open(isolate).insert(users).values({ id: 'a', name: 'x' });
    expect(await expectWhole(3)).toBe(cluster);
    expect(await fleet.catalog('select shard from _shard_catalog_enrolled')).toHaveLength(3);
    expect(await open(fleet.isolate()).select().from(users)).toHaveLength(1);
  });

  it('is refused where bindings are swapped, or are those of another cluster, and nothing is written', async () => {
    const fleet = new Fleet(place);
    await open(fleet.isolate()).insert(users).values({ id: 'a', name: 'x' });
    const { s0, s1, s2, s3 } = shards(4) as { s0: D1Database; s1: D1Database; s2: D1Database; s3: D1Database };
    const swapped = open(fleet.isolate({ s0, s1: s2, s2: s1 }), PATIENCE);
    const rows = keysOf('u', 20).map((id) => ({ id, name: 'y' }));
    for (const run of [
      () => swapped.select().from(users),
      () => swapped.insert(users).values(rows),
      () => swapped.update(users).set({ name: 'y' }),
      () => swapped.delete(users).where(inArray(users.id, keysOf('u', 20))),
    ]) {
      expect(await failureOf(run())).toMatchObject({ code: 'SHARD_IDENTITY' });
    }
    const other = new Fleet('coordinator');
    expect(await failureOf(open(other.isolate({ s3, s0 }), PATIENCE).select().from(users))).toMatchObject({
      code: 'SHARD_IDENTITY',
      shard: 's0',
    });
    expect(await rowsEverywhere('select id, name from users', shards(4))).toMatchObject([{ id: 'a', name: 'x' }]);
  });
});

describe.each(PLACES)('a shard that appears in the configuration later, the catalog in the %s', (place) => {
  const rows = keysOf('u', 30).map((id) => ({ id, name: 'x' }));

  it('is registered and active, owns no slots, and hash puts nothing there', async () => {
    const fleet = new Fleet(place, env.KV);
    const old = open(fleet.isolate());
    await old.insert(users).values(rows);
    const db = open(fleet.isolate(4));
    const listed = await db.$cluster.shards();
    expect(listed.map(({ name, state, bound }) => [name, state, bound])).toEqual(
      ['s0', 's1', 's2', 's3'].map((name) => [name, 'active', true]),
    );
    expect(listed[3]?.slotShare).toBe(0);
    for (const { slotShare } of listed.slice(0, 3)) expect(slotShare).toBeCloseTo(1 / 3, 3);
    await db.insert(users).values(keysOf('v', 60).map((id) => ({ id, name: 'y' })));
    expect((await rowsPerShard(shards(4), 'users')).s3).toBe(0);
    const owner = hashOwner(['s0', 's1', 's2']);
    for (const { id, shard } of await rowsEverywhere<{ id: string }>('select id from users', shards(4)))
      expect(shard).toBe(owner(id));
    expect(await db.select().from(users)).toHaveLength(90);
    await expectWhole(4);
  });

  it('joins once, however many isolates have it at the same time', async () => {
    const fleet = new Fleet(place, env.KV);
    await open(fleet.isolate()).insert(users).values(rows);
    const databases = Array.from({ length: 6 }, () => open(fleet.isolate(5)));
    const found = await Promise.all(databases.map((db) => db.select().from(users)));
    for (const list of found) expect(list).toHaveLength(rows.length);
    await expectWhole(5);
    expect(await rowsEverywhere('select shard as joined from _shard_joined', shards(5))).toMatchObject([
      { shard: 's0', joined: 's3' },
      { shard: 's0', joined: 's4' },
    ]);
    expect(await fleet.catalog('select distinct state from _shard_catalog_shards')).toEqual([{ state: 'active' }]);
  });

  it('whose joining failed half-way is joined by the next, once', async () => {
    const fleet = new Fleet(place);
    await open(fleet.isolate()).insert(users).values(rows);
    const isolate = fleet.isolate(4);
    isolate.failCatalog = failConfirm;
    await failureOf(open(isolate).select().from(users));
    isolate.failCatalog = undefined;
    expect(await open(isolate).select().from(users)).toHaveLength(rows.length);
    await expectWhole(4);
  });

  it('takes new keys of round-robin at once', async () => {
    const fleet = new Fleet(place, env.KV);
    const strategy = 'round-robin';
    await open(fleet.isolate(), { strategy }).insert(users).values(rows);
    const db = open(fleet.isolate(4), { strategy });
    await db.insert(users).values(keysOf('v', 12).map((id) => ({ id, name: 'y' })));
    expect((await rowsPerShard(shards(4), 'users')).s3).toBe(3);
    expect(await db.select().from(users)).toHaveLength(42);
  });

  /** Routers that do not have the shard in their configuration: with the old map in memory, in KV, and with the new map. */
  async function oldRouters(fleet: Fleet, strategy: 'hash' | 'round-robin') {
    const warm = open(fleet.isolate(), { strategy, ...PATIENCE });
    await warm.insert(users).values(rows);
    const published = (await env.KV.get(`sharded-drizzle:${fleet.cluster}:map`)) as string;
    const next = open(fleet.isolate(4), { strategy, ...PATIENCE });
    await next.insert(users).values(keysOf('v', 12).map((id) => ({ id, name: 'y' })));
    const cold = open(fleet.isolate(), { strategy, ...PATIENCE });
    const stale = open(fleet.isolate(3, staleMap(published)), { strategy, ...PATIENCE });
    return { next, routers: { 'the old map in memory': warm, 'the new map': cold, 'the old map from KV': stale } };
  }

  it('is missed by name by a router without it, which never gives a part of the rows', async () => {
    const { next, routers } = await oldRouters(new Fleet(place, env.KV), 'round-robin');
    const where = await rowsEverywhere<{ id: string }>('select id from users', shards(4));
    const there = where.filter(({ shard }) => shard === 's3').map(({ id }) => id);
    const elsewhere = where.filter(({ shard }) => shard !== 's3').map(({ id }) => id);
    expect(there.length).toBeGreaterThan(0);
    for (const [name, db] of Object.entries(routers)) {
      for (const [what, run] of Object.entries({
        'all rows': () => db.select().from(users),
        'a count': () => db.$count(users),
        'a gathered aggregate': () => db.select({ n: sql<number>`count(distinct name)` }).from(users),
        'an update of all': () => db.update(users).set({ name: 'z' }),
        'a list of keys': () => db.select().from(users).where(inArray(users.id, there)),
        'one key': () =>
          db
            .select()
            .from(users)
            .where(eq(users.id, there[0] as string)),
        'a write of one key': () => db.delete(users).where(eq(users.id, there[0] as string)),
        'an insert of one key': () => db.insert(users).values({ id: there[0] as string, name: 'z' }),
      })) {
        const error = await failureOf(run());
        expect([name, what, error.code], error.message).toEqual([name, what, 'MISSING_SHARD']);
        expect(error.message).toContain('s3');
      }
      // What is on its own shards it goes on serving.
      for (const id of elsewhere.slice(0, 6))
        expect(await db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    }
    expect((await next.select().from(users)).filter(({ name }) => name === 'z')).toEqual([]);
    expect(await next.select().from(users)).toHaveLength(42);
  });

  it('that owns nothing yet, under hash, does not keep a router without it from its rows', async () => {
    const { routers } = await oldRouters(new Fleet(place, env.KV), 'hash');
    for (const [name, db] of Object.entries(routers)) {
      const seen = await db
        .select()
        .from(users)
        .then(
          (found) => found.length,
          (error: Error) => (error.cause as { code?: string }).code,
        );
      // All of them, or a refusal that names the shard.
      expect([42, 'MISSING_SHARD'], `${name} sees ${seen}`).toContain(seen);
    }
  });

  it('stays `adding` while there are reference tables, which it has not got, and gets no new keys', async () => {
    const rules = { countries: { replicated: true } } as const;
    const fleet = new Fleet(place, env.KV);
    const config = { schema: { users, countries }, tables: rules, strategy: 'round-robin' } as const;
    const old = shardedDrizzle({ ...fleet.isolate().config, ...config });
    await old.insert(countries).values([{ code: 'de' }, { code: 'fr' }]);
    const isolate = fleet.isolate(4);
    const db = shardedDrizzle({ ...isolate.config, ...config });
    expect((await db.$cluster.shards())[3]).toMatchObject({ name: 's3', state: 'adding', slotShare: 0 });
    await db.insert(users).values(rows);
    expect((await rowsPerShard(shards(4), 'users')).s3).toBe(0);
    expect(await db.select().from(users)).toHaveLength(rows.length);
    expect(await db.select().from(countries)).toHaveLength(2);
    // It is not forgotten, nor told again at each request.
    isolate.reset();
    expect(await db.select().from(users)).toHaveLength(rows.length);
    expect(isolate.calls.catalog).toBe(0);
    const again = shardedDrizzle({ ...fleet.isolate(4).config, ...config });
    expect((await again.$cluster.shards())[3]).toMatchObject({ state: 'adding' });
  });

  it('stays `adding` also where only a rule says that a table is a reference table', async () => {
    const config = { tables: { countries: { replicated: true } }, strategy: 'round-robin' } as const;
    const fleet = new Fleet(place);
    const old = shardedD1({ ...fleet.isolate().config, ...config });
    await old.prepare("insert into countries (code, name) values ('de', 'Germany')").run();
    const next = shardedD1({ ...fleet.isolate(4).config, ...config });
    const keys = keysOf('u', 8);
    for (const id of keys) await next.prepare("insert into users (id, name) values (?, 'de')").bind(id).run();
    expect(await fleet.catalog("select state from _shard_catalog_shards where name = 's3'")).toEqual([
      { state: 'adding' },
    ]);
    // Else a join there would miss the rows that are not there.
    const join = 'select u.id, c.name from users u join countries c on c.code = u.name where u.id = ?';
    for (const id of keys) expect(await next.prepare(join).bind(id).raw()).toEqual([[id, 'Germany']]);
  });
});

describe.each(PLACES)('what the configuration has and the databases have not, the catalog in the %s', (place) => {
  it('a keyspace that is added later is spread over all shards, and the others stay as they are', async () => {
    const fleet = new Fleet(place, env.KV);
    const old = open(fleet.isolate());
    await old.insert(users).values(keysOf('u', 30).map((id) => ({ id, name: 'x' })));
    await open(fleet.isolate(4)).$cluster.shards();
    const db = shardedDrizzle({
      ...fleet.isolate(4).config,
      schema: { users, visits },
      tables: { visits: { keyspace: 'visits' } },
    });
    await db.insert(visits).values(keysOf('u', 60).map((id) => ({ id, page: '/' })));
    await expectWhole(4, ['default', 'visits']);
    const spread = await rowsPerShard(shards(4), 'visits');
    // The late shard takes part in what is spread after it has come.
    for (const [shard, count] of Object.entries(spread)) expect(count, shard).toBeGreaterThan(0);
    expect((await rowsPerShard(shards(4), 'users')).s3).toBe(0);
    expect(await db.select().from(users)).toHaveLength(30);
    expect(await db.select().from(visits)).toHaveLength(60);
    for (const id of keysOf('u', 10)) expect(await db.select().from(visits).where(eq(visits.id, id))).toHaveLength(1);
  });

  it('a keyspace that is added later does not disturb a router that does not know it', async () => {
    const fleet = new Fleet(place, env.KV);
    const old = open(fleet.isolate());
    await old.insert(users).values(keysOf('u', 30).map((id) => ({ id, name: 'x' })));
    const config = { schema: { users, visits }, tables: { visits: { keyspace: 'visits' } } } as const;
    const news = Array.from({ length: 4 }, () => shardedDrizzle({ ...fleet.isolate().config, ...config }));
    await Promise.all(news.map((db, i) => db.insert(visits).values({ id: `u${i}`, page: '/' })));
    await expectWhole(3, ['default', 'visits']);
    for (const db of [old, open(fleet.isolate())]) {
      expect(await db.select().from(users)).toHaveLength(30);
      await db.insert(orders).values({ id: crypto.randomUUID(), total: 1 });
    }
    expect(await fleet.catalog('select epoch from _shard_catalog_cluster')).toEqual([{ epoch: 2 }]);
  });

  it('a shard that was taken out of it is missed by name, and what the others own goes on', async () => {
    const fleet = new Fleet(place, env.KV);
    await open(fleet.isolate())
      .insert(users)
      .values(keysOf('u', 30).map((id) => ({ id, name: 'x' })));
    const { s0, s1 } = shards(2) as { s0: D1Database; s1: D1Database };
    const db = open(fleet.isolate({ s0, s1 }), PATIENCE);
    const owner = hashOwner(['s0', 's1', 's2']);
    for (const id of keysOf('u', 30)) {
      const read = db.select().from(users).where(eq(users.id, id));
      if (owner(id) !== 's2') expect(await read).toHaveLength(1);
      else expect(await failureOf(read)).toMatchObject({ code: 'MISSING_SHARD', shard: 's2' });
    }
    for (const run of [
      () => db.select().from(users),
      () => db.update(users).set({ name: 'y' }),
      () => db.insert(posts).values(keysOf('u', 30).map((userId, i) => ({ id: i, userId }))),
    ]) {
      expect(await failureOf(run())).toMatchObject({ code: 'MISSING_SHARD', shard: 's2' });
    }
    expect(await rowsEverywhere("select id from users where name = 'y'", shards(3))).toEqual([]);
    expect(await rowsEverywhere('select id from posts', shards(3))).toEqual([]);
    expect((await db.$cluster.shards()).map(({ name, bound }) => [name, bound])).toEqual([
      ['s0', true],
      ['s1', true],
      ['s2', false],
    ]);
  });
});
