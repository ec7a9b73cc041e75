import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import {
  autoDetectAndMigrate,
  CollegeDBError,
  clearMigrationCache,
  collegedb,
  createCollegeDB,
  createMappingsForExistingKeys,
  createSchema,
  discoverExistingPrimaryKeys,
  first,
  getClosestRegionFromIP,
  getShardStats,
  initialize,
  integrateExistingDatabase,
  KVShardMapper,
  listKnownShards,
  listTables,
  reassignShard,
  run,
  validateTableForSharding,
} from '../../src/collegedb';
import { failureOf, keysOf } from '../placement/fixture';
import { configOf, fresh, kvContents, posts, schema, seed, users, whereIs } from './fixture';

// What CollegeDB's README shows, by what it is about.

describe('basic usage', () => {
  it('creates tables, writes and reads by key', async () => {
    const shards = await fresh(['db-east', 'db-west'], []);
    const table = 'CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT, email TEXT);';
    for (const d1 of Object.values(shards)) await createSchema(d1, table);
    await seed(shards['db-west'] as D1Database, ["insert into users (id, name) values ('existing-user-456', 'Grace')"]);
    const found = await collegedb(
      { kv: env.KV, coordinator: env.SHARD_COORDINATOR, cluster: crypto.randomUUID(), shards, strategy: 'hash' },
      async () => {
        await createSchema(shards['db-east'] as D1Database, table);
        await run('user-123', 'INSERT INTO users (id, name, email) VALUES (?, ?, ?)', [
          'user-123',
          'Ada',
          'ada@example.com',
        ]);
        return first('existing-user-456', 'SELECT * FROM users WHERE id = ?', ['existing-user-456']);
      },
    );
    expect(found).toEqual({ id: 'existing-user-456', name: 'Grace', email: null });
    expect(await first('user-123', 'SELECT name FROM users WHERE id = ?', ['user-123'])).toEqual({ name: 'Ada' });
    expect(await whereIs(shards, "select 1 from users where id = 'user-123'")).toHaveLength(1);
  });

  it('needs no global state: the Worker of docs/from-collegedb.md', async () => {
    const shards = await fresh(['db-east', 'db-west']);
    const { run: put, db } = createCollegeDB({
      kv: env.KV,
      shards,
      strategy: 'hash',
      schema: { users, posts },
      tables: { posts: { key: 'userId' } },
    });
    await put('user-1', 'INSERT INTO users (id, name) VALUES (?, ?)', ['user-1', 'Ada']);
    await put('user-1', 'INSERT INTO posts (id, user_id) VALUES (?, ?)', ['post-1', 'user-1']);
    const found = await db
      .select()
      .from(users)
      .where(eq(users.id, 'user-1'))
      .leftJoin(posts, eq(posts.userId, users.id));
    expect(found).toMatchObject([{ users: { name: 'Ada' }, posts: { id: 'post-1' } }]);
    expect(await failureOf(put('post-1', 'SELECT * FROM posts WHERE user_id = ?', ['user-1']))).toMatchObject({
      code: 'KEY_MISMATCH',
    });
  });

  it('tells errors by their codes', async () => {
    const shards = await fresh(['db-east', 'db-west']);
    initialize({ kv: env.KV, shards });
    const error = await failureOf(reassignShard('user-123', 'db-west'));
    expect(error).toBeInstanceOf(CollegeDBError);
    expect(error.code).toBe('MAPPING_NOT_FOUND');
  });

  it('moves a key, and tells of shards', async () => {
    const shards = await fresh(['db-east', 'db-west']);
    initialize({ kv: env.KV, shards });
    for (const id of keysOf('user-', 10)) await run(id, 'INSERT INTO users (id) VALUES (?)', [id]);
    await reassignShard('user-3', 'db-west', 'users');
    await reassignShard('user-3', 'db-east', 'users');
    expect(await whereIs(shards, "select 1 from users where id = 'user-3'")).toEqual(['db-east']);
    expect(await listKnownShards()).toEqual(['db-east', 'db-west']);
    const stats = await getShardStats();
    const rows = await (shards['db-east'] as D1Database).prepare('select count(*) as n from users').first<number>('n');
    expect(stats[0]).toEqual({ binding: 'db-east', count: rows, lastUpdated: expect.any(Number) });
    expect(stats.reduce((sum, { count }) => sum + count, 0)).toBe(10);
  });
});

describe('geographic distribution', () => {
  const names = ['db-west', 'db-east', 'db-europe'];
  const shardLocations = {
    'db-west': { region: 'wnam', priority: 2 },
    'db-east': { region: 'enam', priority: 1 },
    'db-europe': { region: 'weur', priority: 0.5 },
  } as const;

  it('puts new keys near to the target', async () => {
    const shards = await fresh(names);
    initialize(configOf(shards, { strategy: 'location', targetRegion: 'wnam', shardLocations }));
    for (const id of keysOf('user-west-', 6)) await run(id, 'INSERT INTO users (id) VALUES (?)', [id]);
    initialize(configOf(shards, { strategy: 'location', targetRegion: 'eeur', shardLocations }));
    await run('user-east', 'INSERT INTO users (id) VALUES (?)', ['user-east']);
    for (const id of keysOf('user-west-', 6)) {
      expect(await whereIs(shards, `select 1 from users where id = '${id}'`)).toEqual(['db-west']);
      expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    }
    expect(await whereIs(shards, "select 1 from users where id = 'user-east'")).toEqual(['db-europe']);
  });

  it('takes a strategy for reads and one for writes: the one for writes places', async () => {
    const shards = await fresh(names);
    const strategy = { write: 'location', read: 'hash' } as const;
    initialize(configOf(shards, { strategy, targetRegion: 'wnam', shardLocations }));
    expect(await first('user-california', 'SELECT id FROM users WHERE id = ?', ['user-california'])).toBeNull();
    await run('user-california', 'INSERT INTO users (id) VALUES (?)', ['user-california']);
    expect(await whereIs(shards, 'select 1 from users')).toEqual(['db-west']);
    expect(await first('user-california', 'SELECT id FROM users WHERE id = ?', ['user-california'])).toEqual({
      id: 'user-california',
    });
  });

  it.each([
    [{ latitude: '37.7', longitude: '-122.4', country: 'US' }, 'wnam'],
    [{ latitude: '40.7', longitude: '-74.0' }, 'enam'],
    [{ latitude: '48.9', longitude: '2.3', country: 'FR' }, 'weur'],
    [{ latitude: '52.2', longitude: '21.0' }, 'eeur'],
    [{ latitude: '35.7', longitude: '139.7' }, 'apac'],
    [{ latitude: '-37.8', longitude: '145.0' }, 'oc'],
    [{ latitude: '24.7', longitude: '46.7' }, 'me'],
    [{ continent: 'AF' }, 'af'],
    [{ continent: 'EU' }, 'weur'],
    [{ country: 'US' }, 'wnam'],
    [undefined, 'wnam'],
  ])('knows the region of %j', (cf, region) => {
    const request = new Request('https://example.com', cf ? ({ cf } as RequestInit) : {});
    expect(getClosestRegionFromIP(request)).toBe(region);
  });
});

describe('databases that have rows', () => {
  it('are found when they are bound, drop-in', async () => {
    const shards = await fresh(['db-users', 'db-orders', 'db-new']);
    const old = keysOf('user-from-old-db-', 30);
    await seed(
      shards['db-users'] as D1Database,
      old.map((id) => `insert into users (id, name) values ('${id}', 'old')`),
    );
    const { db } = initialize({ kv: env.KV, shards, strategy: 'hash', schema });
    for (const id of old) expect(await first(id, 'SELECT name FROM users WHERE id = ?', [id])).toEqual({ name: 'old' });
    await run('new-user-123', 'INSERT INTO users (id, name) VALUES (?, ?)', ['new-user-123', 'new']);
    expect(await db.select().from(users).where(eq(users.id, 'user-from-old-db-7'))).toMatchObject([{ name: 'old' }]);
    expect(await db.$count(users)).toBe(31);
    expect((await db.$cluster.verify()).findings).toEqual([]);
  });

  it('are looked at by hand', async () => {
    const { db } = await fresh(
      ['db', 'db-other'],
      [
        'create table users (id text primary key)',
        'create table orders (order_id text primary key)',
        'create table sessions (session_key text primary key)',
        'create table loose (name text)',
      ],
    );
    await seed(db as D1Database, [
      "insert into users values ('u1'), ('u2')",
      "insert into orders values ('o1')",
      "insert into sessions values ('s1')",
      "insert into loose values ('x')",
    ]);
    const report: Record<string, number | string> = {};
    for (const table of await listTables(db as D1Database)) {
      const found = await validateTableForSharding(db as D1Database, table);
      report[table] = found.isValid ? found.recordCount : found.issues.join();
    }
    expect(report).toEqual({
      users: 2,
      orders: 'orders has no column id',
      sessions: 'sessions has no column id',
      loose: 'loose has no column id',
    });
    expect(await discoverExistingPrimaryKeys(db as D1Database, 'users')).toEqual(['u1', 'u2']);
    expect(await discoverExistingPrimaryKeys(db as D1Database, 'orders', 'order_id')).toEqual(['o1']);
    expect(await discoverExistingPrimaryKeys(db as D1Database, 'sessions', 'session_key')).toEqual(['s1']);
  });

  /** Rows in tables of one database of three. */
  async function existing(): Promise<{ shards: Record<string, D1Database>; primary: D1Database }> {
    const shards = await fresh(
      ['db-primary', 'db-secondary', 'db-new'],
      [
        'create table users (id text primary key, name text)',
        'create table posts (id text primary key)',
        'create table orders (id text primary key)',
        'create table temp_logs (id text primary key)',
      ],
    );
    const primary = shards['db-primary'] as D1Database;
    await seed(primary, [
      "insert into users (id, name) values ('existing-user-123', 'Ada'), ('existing-user-124', 'Grace')",
      "insert into posts values ('post-1')",
      "insert into orders values ('order-1'), ('order-2')",
      "insert into temp_logs values ('log-1')",
    ]);
    return { shards, primary };
  }

  const OPTIONS = {
    tables: ['users', 'posts', 'orders'],
    primaryKeyColumn: 'id',
    strategy: 'hash',
    addShardMappingsTable: true,
  } as const;

  it('are integrated by hand, then used', async () => {
    const { shards, primary } = await existing();
    const mapper = new KVShardMapper(env.KV);
    expect(await integrateExistingDatabase(primary, 'db-primary', mapper, { ...OPTIONS, dryRun: false })).toEqual({
      success: true,
      shardName: 'db-primary',
      tablesProcessed: 3,
      totalRecords: 5,
      mappingsCreated: 5,
      issues: [],
    });
    expect(await mapper.getKnownShards()).toEqual(['db-primary']);
    expect(await mapper.getShardMapping('log-1')).toBeNull();
    initialize({ kv: env.KV, shards, strategy: 'hash' });
    for (const id of ['existing-user-123', 'existing-user-124']) {
      expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    }
  });

  it('are tried without a change', async () => {
    const { primary } = await existing();
    const before = await kvContents();
    const dry = await integrateExistingDatabase(primary, 'db-primary', new KVShardMapper(env.KV), {
      ...OPTIONS,
      dryRun: true,
    });
    expect(dry).toMatchObject({ success: true, tablesProcessed: 3, totalRecords: 5 });
    expect(await kvContents()).toEqual(before);
    expect(await whereIs({ primary }, "select 1 from sqlite_master where name like '%shard%'")).toEqual([]);
    expect(await integrateExistingDatabase(primary, 'db-primary', new KVShardMapper(env.KV), OPTIONS)).toEqual(dry);
  });

  it('are given back: mappings go, rows stay, and can be mapped again', async () => {
    const { shards, primary } = await existing();
    const mapper = new KVShardMapper(env.KV);
    await integrateExistingDatabase(primary, 'db-primary', mapper, OPTIONS);
    await mapper.clearAllMappings();
    clearMigrationCache();
    expect(Object.keys(await kvContents('shard:'))).toEqual([]);
    expect(Object.keys(await kvContents('multikey:'))).toEqual([]);
    expect(await whereIs(shards, 'select 1 from users')).toEqual(['db-primary']);
    expect(await mapper.getShardMapping('existing-user-123')).toBeNull();
    const again = await autoDetectAndMigrate(primary, 'db-primary', { kv: env.KV });
    expect(again).toMatchObject({ migrationPerformed: true, recordsMigrated: 6 });
    expect((await mapper.getShardMapping('existing-user-123'))?.shard).toBe('db-primary');
  });

  it('are integrated a few tables at a time', async () => {
    const { primary } = await existing();
    const mapper = new KVShardMapper(env.KV, { hashShardMappings: false });
    const tables = await listTables(primary);
    let records = 0;
    for (let i = 0; i < tables.length; i += 2) {
      const slice = tables.slice(i, i + 2);
      const result = await integrateExistingDatabase(primary, 'db-large', mapper, { tables: slice });
      expect(result.success).toBe(true);
      records += result.totalRecords;
    }
    expect(records).toBe(6);
    expect(await mapper.getShardKeyCounts()).toEqual({ 'db-large': 6 });
  });

  it('may name their keys differently', async () => {
    const keyNames = { users: 'user_id', orders: 'order_number', products: 'sku' };
    const { db } = await fresh(
      ['db', 'db-other'],
      Object.entries(keyNames).map(([table, key]) => `create table ${table} (${key} text primary key)`),
    );
    for (const table of Object.keys(keyNames))
      await seed(db as D1Database, [`insert into ${table} values ('${table}-1'), ('${table}-2')`]);
    const mapper = new KVShardMapper(env.KV);
    for (const [table, column] of Object.entries(keyNames)) {
      const keys = await discoverExistingPrimaryKeys(db as D1Database, table, column);
      await createMappingsForExistingKeys(keys, ['db-shard1'], 'hash', mapper);
      for (const key of keys) expect((await mapper.getShardMapping(key))?.shard).toBe('db-shard1');
    }
  });

  it('without a usable key are told of', async () => {
    const { db } = await fresh(['db', 'db-other'], ['create table legacy (name text)']);
    await seed(db as D1Database, ["insert into legacy values ('x')"]);
    const result = await integrateExistingDatabase(db as D1Database, 'db', new KVShardMapper(env.KV), {
      tables: ['legacy'],
    });
    expect(result).toMatchObject({
      success: false,
      tablesProcessed: 0,
      issues: ['Table legacy: legacy has no column id'],
    });
  });
});
