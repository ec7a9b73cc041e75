import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  autoDetectAndMigrate,
  checkMigrationNeeded,
  clearMigrationCache,
  collegedb,
  createMappingsForExistingKeys,
  first,
  initialize,
  initializeAsync,
  integrateExistingDatabase,
  KVShardMapper,
} from '../../src/collegedb';
import { failureOf, keysOf } from '../placement/fixture';
import { configOf, contents, fresh, schema, seed, users, whereIs } from './fixture';

let databases: Record<string, D1Database>;
let old: D1Database;
beforeEach(async () => {
  databases = await fresh();
  old = databases['db-east'] as D1Database;
});

describe('autoDetectAndMigrate', () => {
  const config = () => ({ kv: env.KV, shards: databases });

  it('maps what no mapping leads to, once', async () => {
    await seed(old, ["insert into users (id) values ('u1'), ('u2'), ('u3')"]);
    await new KVShardMapper(env.KV).setShardMapping('u2', 'db-west');
    expect(await checkMigrationNeeded(old, 'db-east', config())).toBe(true);
    expect(await autoDetectAndMigrate(old, 'db-east', config())).toEqual({
      migrationNeeded: true,
      migrationPerformed: true,
      recordsMigrated: 2,
      tablesProcessed: 1,
      issues: [],
    });
    expect(await checkMigrationNeeded(old, 'db-east', config())).toBe(false);
    expect((await new KVShardMapper(env.KV).getShardMapping('u2'))?.shard).toBe('db-west');
    expect(await autoDetectAndMigrate(old, 'db-east', config())).toMatchObject({ tablesProcessed: 0 });
    await new KVShardMapper(env.KV).clearAllMappings();
    expect(await autoDetectAndMigrate(old, 'db-east', config(), { skipCache: true })).toMatchObject({
      recordsMigrated: 3,
    });
    await new KVShardMapper(env.KV).clearAllMappings();
    clearMigrationCache();
    expect(await autoDetectAndMigrate(old, 'db-east', config())).toMatchObject({ recordsMigrated: 3 });
  });

  it('is not needed: the first statement finds the rows of every database, and collegedb scans them', async () => {
    const keys = keysOf('old-', 40);
    for (const [i, d1] of Object.values(databases).entries()) {
      const own = keys.filter((_, at) => at % 3 === i);
      await d1
        .prepare("insert into users (id, name) select value, 'x' from json_each(?1)")
        .bind(JSON.stringify(own))
        .run();
    }
    const { db } = initialize(configOf(databases, { schema }));
    expect(await db.select({ id: users.id }).from(users).where(eq(users.id, 'old-7'))).toEqual([{ id: 'old-7' }]);
    for (const id of keys) expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    expect((await db.$cluster.adoption()).pending).toHaveLength(3);
    await initializeAsync(configOf(databases, { disableAutoMigration: true }));
    expect((await db.$cluster.adoption()).pending).toHaveLength(3);
    await collegedb(configOf(databases), () => undefined);
    expect(await db.$cluster.adoption()).toEqual({ pending: [], conflicts: [] });
    for (const id of keys) expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    expect((await db.$cluster.verify()).findings).toEqual([]);
  });

  it('scans what a cluster has not scanned yet', async () => {
    const west = databases['db-west'] as D1Database;
    await seed(old, ["insert into users (id) values ('u1'), ('u2'), ('both')"]);
    await seed(west, ["insert into users (id) values ('w1'), ('both')"]);
    const { db, mapper } = initialize(configOf(databases));
    const before = await contents(old);
    expect(await checkMigrationNeeded(old, 'db-east', config())).toBe(true);
    expect(await contents(old)).toEqual(before);
    expect(await mapper.getShardMappings(['u1', 'w1', 'both', 'none'])).toEqual(
      new Map([
        ['u1', { shard: 'db-east', createdAt: 0, updatedAt: 0 }],
        ['w1', { shard: 'db-west', createdAt: 0, updatedAt: 0 }],
        ['both', null],
        ['none', null],
      ]),
    );
    expect(await autoDetectAndMigrate(old, 'db-east', config())).toEqual({
      migrationNeeded: true,
      migrationPerformed: true,
      recordsMigrated: 2,
      tablesProcessed: 1,
      issues: ["The key 'both' of users has rows on db-east and db-west: every statement with it is refused"],
    });
    expect((await db.$cluster.adoption()).pending).toEqual([]);
    expect(await checkMigrationNeeded(old, 'db-east', config())).toBe(false);
    expect((await mapper.getShardMapping('w1'))?.shard).toBe('db-west');
    await mapper.updateShardMapping('w1', 'db-central');
    expect(await whereIs(databases, "select 1 from users where id = 'w1'")).toEqual(['db-central']);
  });

  it('is not needed where one database has all rows', async () => {
    await seed(old, ["insert into users (id) values ('u1'), ('u2')"]);
    initialize(configOf(databases));
    expect(await checkMigrationNeeded(old, 'db-east', config())).toBe(false);
    expect(await autoDetectAndMigrate(old, 'db-east', config())).toMatchObject({ migrationNeeded: false, issues: [] });
    expect(await first('u2', 'SELECT id FROM users WHERE id = ?', ['u2'])).toEqual({ id: 'u2' });
    expect(await whereIs(databases, 'select 1 from _shard_keys')).toEqual([]);
  });

  it('leaves reference tables alone', async () => {
    await seed(old, ["insert into users (id) values ('u1')", 'insert into tickets (id) values (1)']);
    for (const name of ['db-west', 'db-central'])
      await seed(databases[name] as D1Database, ['insert into tickets (id) values (1)']);
    const { mapper } = initialize(configOf(databases, { tables: { tickets: { replicated: true } } }));
    for (const dryRun of [true, false]) {
      expect(await integrateExistingDatabase(old, 'db-east', mapper, { dryRun })).toMatchObject({
        tablesProcessed: 1,
        mappingsCreated: 1,
        issues: ['Table posts: posts has no rows', 'Table tickets: tickets has no key of the keyspace default'],
      });
    }
  });

  it('goes through large tables by pages, and tells a few of many conflicts', async () => {
    const fill = (d1: D1Database | undefined, prefix: string) =>
      d1?.batch([
        d1
          .prepare(
            `with n(i) as (select 1 union all select i + 1 from n limit 6000) insert into users (id) select ?1 || i from n`,
          )
          .bind(prefix),
        d1.prepare(
          "with n(i) as (select 1 union all select i + 1 from n limit 15) insert into users (id) select 'z' || i from n",
        ),
      ]);
    await fill(old, 'e');
    await fill(databases['db-west'], 'w');
    const { mapper } = initialize(configOf(databases));
    const dry = await integrateExistingDatabase(old, 'db-east', mapper, { tables: ['users'], dryRun: true });
    expect(dry).toMatchObject({ tablesProcessed: 1, totalRecords: 6015, mappingsCreated: 6000 });
    expect(dry.issues).toHaveLength(11);
    expect(dry.issues.at(-1)).toBe('5 more keys of users do not lead here');
    expect(await integrateExistingDatabase(old, 'db-east', mapper, { tables: ['users'] })).toEqual(dry);
  });

  it('gives a refusal of the cluster as an issue, also in a dry run', async () => {
    await seed(old, ["insert into users (id) values ('u1')"]);
    await seed(databases['db-west'] as D1Database, ["insert into users (id) values ('u2')"]);
    const { mapper } = initialize(configOf(databases, { adopt: 'own' }));
    const dry = await integrateExistingDatabase(old, 'db-east', mapper, { dryRun: true });
    expect(dry).toMatchObject({ success: false, issues: [expect.stringContaining("adopt: 'own'")] });
    expect(await integrateExistingDatabase(old, 'db-east', mapper)).toEqual(dry);
  });
});

describe('createMappingsForExistingKeys', () => {
  it.each(['hash', 'round-robin', 'random'] as const)('spreads keys by %s', async (strategy) => {
    const mapper = new KVShardMapper(env.KV);
    const keys = keysOf('k', 30);
    await createMappingsForExistingKeys(keys, ['db-east', 'db-west'], strategy, mapper);
    const counts = await mapper.getShardKeyCounts();
    expect((counts['db-east'] ?? 0) + (counts['db-west'] ?? 0)).toBe(30);
    expect(Math.min(counts['db-east'] ?? 0, counts['db-west'] ?? 0)).toBeGreaterThan(
      strategy === 'round-robin' ? 14 : 0,
    );
    expect(await failureOf(createMappingsForExistingKeys(keys, [], strategy, mapper))).toMatchObject({
      code: 'NO_SHARDS',
    });
  });
});
