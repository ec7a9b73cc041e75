import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  createCollegeDB,
  first,
  flush,
  getShardStats,
  importCollegeDBMappings,
  initialize,
  KVShardMapper,
  run,
} from '../../src/collegedb';
import { failureOf, keysOf } from '../placement/fixture';
import { configOf, fresh, kvContents, seed, whereIs } from './fixture';

let databases: Record<string, D1Database>;
beforeEach(async () => {
  databases = await fresh();
});

const sha256 = async (text: string) =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');

describe("CollegeDB's records in KV", () => {
  it('are under the hash of their key', async () => {
    const mapper = new KVShardMapper(env.KV);
    await mapper.setShardMapping('user-1', 'db-west');
    const contents = await kvContents();
    expect(Object.keys(contents)).toEqual([`shard:${await sha256('user-1')}`]);
    expect(JSON.parse(Object.values(contents)[0] ?? '')).toEqual({
      shard: 'db-west',
      createdAt: expect.any(Number),
      updatedAt: expect.any(Number),
    });
    expect(await mapper.getShardMapping('user-1')).toMatchObject({ shard: 'db-west' });
    expect(await mapper.getShardMapping('user-2')).toBeNull();
    expect(await mapper.getKeysForShard('db-west')).toEqual([]);
    expect(await mapper.hashKey('user-1')).toBe(await sha256('user-1'));
  });

  it('are in plain text where that is asked for', async () => {
    const mapper = new KVShardMapper(env.KV, { hashShardMappings: false });
    await mapper.setShardMapping('user-1', 'db-west');
    expect(JSON.parse((await env.KV.get('shard:user-1')) ?? '')).toMatchObject({
      shard: 'db-west',
      originalKey: 'user-1',
    });
    expect(await mapper.getKeysForShard('db-west')).toEqual(['user-1']);
    await mapper.updateShardMapping('user-1', 'db-east');
    expect(await mapper.getShardMapping('user-1')).toMatchObject({ shard: 'db-east', originalKey: 'user-1' });
    await mapper.deleteShardMapping('user-1');
    expect(await kvContents()).toEqual({});
    expect(await failureOf(mapper.updateShardMapping('user-1', 'db-east'))).toMatchObject({
      code: 'MAPPING_NOT_FOUND',
    });
  });

  it.each([true, false])('of several keys lead to one shard, hashed: %s', async (hashShardMappings) => {
    const mapper = new KVShardMapper(env.KV, { hashShardMappings });
    await mapper.setShardMapping('user-1', 'db-west', ['email:a@b.c', 'username:ada']);
    await mapper.addLookupKeys('user-1', ['id:1']);
    const names = ['user-1', 'email:a@b.c', 'username:ada', 'id:1'];
    for (const key of names) expect((await mapper.getShardMapping(key))?.shard).toBe('db-west');
    const listed = hashShardMappings ? await Promise.all(names.map(sha256)) : names;
    expect(await mapper.getAllLookupKeys('user-1')).toEqual(listed);
    await mapper.updateShardMapping('user-1', 'db-east');
    for (const key of names) expect((await mapper.getShardMapping(key))?.shard).toBe('db-east');
    expect(await mapper.getShardKeyCounts()).toEqual({ 'db-east': 4 });
    await mapper.deleteShardMapping('user-1');
    expect(await kvContents()).toEqual({});
    expect(await failureOf(mapper.addLookupKeys('user-1', ['x']))).toMatchObject({ code: 'MAPPING_NOT_FOUND' });
  });

  it('are read to the last page', async () => {
    const mapper = new KVShardMapper(env.KV, { hashShardMappings: false });
    const keys = keysOf('k', 1100);
    await mapper.setShardMappingsBatch(keys.map((primaryKey) => ({ primaryKey, shard: 'db-west' })));
    expect(await mapper.getShardKeyCounts()).toEqual({ 'db-west': 1100 });
    expect((await mapper.getKeysForShard('db-west')).sort()).toEqual([...keys].sort());
    await mapper.clearAllMappings();
    expect((await env.KV.list()).keys).toEqual([]);
  });
});

describe('in a cluster', () => {
  const INSERT = 'INSERT INTO users (id, name) VALUES (?, ?)';

  it.each(['hash', 'random'] as const)(
    'the mapper tells and changes where keys live, strategy %s',
    async (strategy) => {
      const mapper = new KVShardMapper(env.KV);
      initialize(configOf(databases, { strategy }));
      expect(await mapper.getShardMapping('u')).toBeNull();
      await run('u', INSERT, ['u', 'Ada']);
      const [shard] = await whereIs(databases, 'select 1 from users');
      expect(await mapper.getShardMapping('u')).toEqual({ shard, createdAt: 0, updatedAt: 0 });
      for (const target of ['db-central', 'db-east']) {
        await mapper.updateShardMapping('u', target);
        expect(await whereIs(databases, 'select 1 from users')).toEqual([target]);
        expect((await mapper.getShardMapping('u'))?.shard).toBe(target);
        expect(await first('u', 'SELECT name FROM users WHERE id = ?', ['u'])).toEqual({ name: 'Ada' });
      }
      await mapper.deleteShardMapping('u');
      expect((await mapper.getShardMapping('u'))?.shard).toBe('db-east');
      expect(await failureOf(mapper.updateShardMapping('nobody', 'db-east'))).toMatchObject({
        code: 'MAPPING_NOT_FOUND',
      });
      expect(await failureOf(mapper.setShardMapping('u', 'db-nowhere'))).toMatchObject({ code: 'SHARD_NOT_FOUND' });
      expect(Object.keys(await kvContents('shard:'))).toEqual([]);
    },
  );

  it('a key can be placed before it has a row', async () => {
    const other = createCollegeDB(configOf(databases));
    const { mapper, db } = initialize(configOf(databases));
    for (const [i, shard] of ['db-east', 'db-west', 'db-central'].entries()) {
      for (const key of keysOf(`k${i}-`, 5)) {
        await mapper.setShardMapping(key, shard);
        expect((await mapper.getShardMapping(key))?.shard).toBe(shard);
        await other.run(key, INSERT, [key, 'x']);
        expect(await whereIs(databases, `select 1 from users where id = '${key}'`)).toEqual([shard]);
      }
    }
    expect(await mapper.getShardKeyCounts()).toEqual({ 'db-east': 5, 'db-west': 5, 'db-central': 5 });
    expect((await mapper.getKeysForShard('db-west')).sort()).toEqual(keysOf('k1-', 5));
    expect((await db.$cluster.verify()).findings).toEqual([]);
  });

  it('a placement can be changed as long as there is no row, and after', async () => {
    const { mapper, db } = initialize(configOf(databases));
    for (const shard of ['db-west', 'db-east', 'db-central']) {
      await mapper.setShardMapping('k', shard);
      expect((await mapper.getShardMapping('k'))?.shard).toBe(shard);
    }
    await run('k', INSERT, ['k', 'x']);
    expect(await whereIs(databases, 'select 1 from users')).toEqual(['db-central']);
    await mapper.setShardMappingsBatch([
      { primaryKey: 'k', shard: 'db-west' },
      { primaryKey: 'l', shard: 'db-east' },
    ]);
    expect(await whereIs(databases, 'select 1 from users')).toEqual(['db-west']);
    await db.$cluster.drain('db-central');
    expect(await failureOf(mapper.setShardMapping('m', 'db-central'))).toMatchObject({ code: 'SHARD_UNAVAILABLE' });
    expect(await first('k', 'SELECT id FROM users WHERE id = ?', ['k'])).toEqual({ id: 'k' });
  });

  it('other names of a key lead to its rows', async () => {
    const { mapper } = initialize(configOf(databases));
    await mapper.setShardMapping('user-1', 'db-west', ['email:ada@example.com', 'username:ada']);
    await run('user-1', 'INSERT INTO users (id, name, email) VALUES (?, ?, ?)', ['user-1', 'ada', 'ada@example.com']);
    await mapper.addLookupKeys('user-1', ['id:1']);
    expect(await whereIs(databases, 'select 1 from users')).toEqual(['db-west']);
    const sql = 'SELECT id FROM users WHERE email = ?';
    for (const key of ['email:ada@example.com', 'username:ada', 'id:1', 'user-1']) {
      expect(await first(key, sql, ['ada@example.com'])).toEqual({ id: 'user-1' });
    }
  });

  it('counts keys of several tables once, and forgets only what is cached', async () => {
    const { mapper } = initialize(
      configOf(databases, { tables: { posts: { key: 'user_id' } }, strategy: 'round-robin' }),
    );
    const keys = keysOf('u', 20);
    for (const id of keys) {
      await run(id, INSERT, [id, 'x']);
      await run(id, 'INSERT INTO posts (id, user_id) VALUES (?, ?)', [`p${id}`, id]);
    }
    const stats = await getShardStats();
    expect(stats.map(({ binding }) => binding)).toEqual(['db-east', 'db-west', 'db-central']);
    expect(stats.reduce((sum, { count }) => sum + count, 0)).toBe(20);
    expect((await Promise.all(stats.map(({ binding }) => mapper.getKeysForShard(binding)))).flat().sort()).toEqual(
      [...keys].sort(),
    );
    await flush();
    await mapper.clearAllMappings();
    expect(Object.keys(await kvContents('sharded-drizzle:default:key:'))).toEqual([]);
    for (const id of keys) expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
  });
});

describe('importCollegeDBMappings', () => {
  /** A CollegeDB deployment: rows anywhere, and a record for each key. */
  async function deployed(hashed: boolean, extra: readonly string[] = []): Promise<Map<string, string>> {
    const places = new Map<string, string>();
    const shards = Object.keys(databases);
    for (const [i, key] of keysOf('user-', 30).entries()) {
      const shard = shards[i % 3] as string;
      places.set(key, shard);
      await seed(databases[shard] as D1Database, [
        `insert into users (id, name, email) values ('${key}', 'n', '${key}@x.y')`,
      ]);
      places.set(`email:${key}@x.y`, shard);
    }
    for (const key of extra) places.set(key, 'db-west');
    for (const [key, shard] of places) {
      const times = { createdAt: 1_700_000_000_000, updatedAt: 1_700_000_000_000 };
      if (hashed) await env.KV.put(`shard:${await sha256(key)}`, JSON.stringify({ shard, ...times }));
      else await env.KV.put(`shard:${key}`, JSON.stringify({ shard, ...times, originalKey: key }));
    }
    return places;
  }

  it.each([true, false])('finds every key where CollegeDB had it, hashed: %s', async (hashed) => {
    const places = await deployed(hashed);
    await env.KV.put('multikey:x', JSON.stringify({ shard: 'db-east', createdAt: 1, updatedAt: 1, keys: ['x'] }));
    await env.KV.put('known_shards', JSON.stringify(['db-east', 'db-west', 'db-central']));
    const records = await kvContents('shard:');
    const { mapper, db } = initialize(configOf(databases));
    const dry = await importCollegeDBMappings(env.KV, { dryRun: true });
    expect(await whereIs(databases, "select 1 from sqlite_master where name glob '_shard_*'")).toEqual([]);
    expect(await first('user-1', 'SELECT id FROM users WHERE id = ?', ['user-1'])).toEqual({ id: 'user-1' });
    const real = await importCollegeDBMappings(env.KV);
    expect(real).toEqual({ ...dry, text: real.text });
    expect(real).toMatchObject({ records: 60, placed: 60, contradictions: [], conflicts: [], unresolved: 0 });
    expect(real.unknownShards).toEqual({});
    // Keys with rows need no record.
    const recorded = await Promise.all(
      Object.values(databases).map((d1) => d1.prepare("select key from _shard_keys where key glob 'user-*'").all()),
    );
    expect(new Set(recorded.flatMap(({ results }) => results.map(({ key }) => key))).size).toBeLessThan(2);
    await db.$cluster.adopt();
    for (const [key, shard] of places) expect((await mapper.getShardMapping(key))?.shard).toBe(shard);
    for (const id of keysOf('user-', 30)) {
      expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
      expect(await first(`email:${id}@x.y`, 'SELECT id FROM users WHERE email = ?', [`${id}@x.y`])).toEqual({ id });
    }
    expect(await kvContents('shard:')).toEqual(records);
    expect((await db.$cluster.verify()).findings).toEqual([]);
    expect(await importCollegeDBMappings(env.KV)).toEqual(real);
  });

  it('says what it cannot take over', async () => {
    await deployed(true, ['a key without a row']);
    await env.KV.put('shard:lost', JSON.stringify({ shard: 'db-gone', createdAt: 1, updatedAt: 1 }));
    await env.KV.put('shard:broken', 'no JSON {');
    await env.KV.put('shard:other', JSON.stringify(['x']));
    const { db } = initialize(configOf(databases));
    await seed(databases['db-central'] as D1Database, ["insert into users (id) values ('here'), ('both')"]);
    await seed(databases['db-west'] as D1Database, ["insert into users (id) values ('both')"]);
    for (const key of ['here', 'both'])
      await env.KV.put(`shard:${key}`, JSON.stringify({ shard: 'db-west', createdAt: 1, updatedAt: 1 }));
    const said = {
      unresolved: 1,
      unknownShards: { 'db-gone': 1 },
      contradictions: [{ key: 'here', recorded: 'db-west', lives: 'db-central' }],
      conflicts: [{ key: 'both', recorded: 'db-west', shards: ['db-west', 'db-central'] }],
    };
    const dry = await importCollegeDBMappings(env.KV, { dryRun: true });
    expect(dry).toMatchObject(said);
    const report = await importCollegeDBMappings(env.KV);
    expect(report).toEqual({ ...dry, text: report.text });
    await db.$cluster.adopt();
    // What its home has recorded says the same.
    expect(await importCollegeDBMappings(env.KV)).toEqual(report);
    expect(report.text).toContain('here lives on db-central, and its record says db-west');
    expect(report.text).toContain('both has rows on db-west and db-central, and its record says db-west');
  });
});
