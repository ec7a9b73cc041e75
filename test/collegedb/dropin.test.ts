import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  autoDetectAndMigrate,
  checkMigrationNeeded,
  clearMigrationCache,
  createMappingsForExistingKeys,
  createSchema,
  discoverExistingPrimaryKeys,
  first,
  initialize,
  integrateExistingDatabase,
  KVShardMapper,
  listTables,
  validateTableForSharding,
} from '../../src/collegedb';
import { failureOf, keysOf } from '../placement/fixture';
import { faultyD1 } from '../support/faulty-d1';
import { hashOwner } from '../support/owner';
import { Random } from '../support/random';
import { configOf, fresh, kvContents, seed } from './fixture';

const ODD = 'order "by"; --';
const QUOTED = '"order ""by""; --"';

let databases: Record<string, D1Database>;
let old: D1Database;
beforeEach(async () => {
  databases = await fresh();
  old = databases['db-east'] as D1Database;
});

/** Every table of a database with all its rows. */
async function contents(d1: D1Database): Promise<unknown> {
  const { results } = await d1
    .prepare("select name, sql from sqlite_master where name not like '\\_cf%' escape '\\' order by name")
    .all<{ name: string }>();
  const rows = await Promise.all(
    results.map(({ name }) =>
      d1
        .prepare(`select * from "${name.replaceAll('"', '""')}"`)
        .all()
        .then(
          (found) => found.results,
          () => null,
        ),
    ),
  );
  return { results, rows };
}

describe('createSchema', () => {
  it('runs scripts with comments, strings and triggers in them', async () => {
    await createSchema(
      old,
      `-- tables; of a shop
      create table if not exists shops (id text primary key, note text default 'a;b'); /* ; */
      create table log (id integer primary key, n integer);
      create trigger shops_log after insert on shops begin
        insert into log (n) values (case when new.note is null then 0 else 1 end);
        insert into log (n) values (2);
      end;
      insert into shops (id) values ('s')`,
    );
    expect((await old.prepare('select n from log order by id').all()).results).toEqual([{ n: 1 }, { n: 2 }]);
    const error = await failureOf(createSchema(old, 'create table shops (id text)'));
    expect(error).toMatchObject({ name: 'CollegeDBError', code: 'SCHEMA_MIGRATION_FAILED' });
    expect(error.message).toContain('already exists');
  });
});

describe('tables and keys', () => {
  it('lists tables, none of the system', async () => {
    await seed(old, [
      'create table d1_migrations (id integer primary key)',
      'create table __drizzle_migrations (id integer primary key)',
      'create table _shard_mine (id integer primary key)',
      'create table counted (id integer primary key autoincrement)',
      `create table ${QUOTED} ("i""d" text primary key)`,
    ]);
    expect(await listTables(old)).toEqual(['counted', ODD, 'posts', 'tickets', 'users']);
  });

  it('validates', async () => {
    await seed(old, [
      "insert into users (id) values ('a'), ('b')",
      'create table pairs (id text, other text, primary key (id, other))',
      "insert into pairs values ('a', 'b')",
      'create table loose (name text)',
      `create table ${QUOTED} ("i""d" text primary key)`,
      `insert into ${QUOTED} values ('x')`,
    ]);
    expect(await validateTableForSharding(old, 'users')).toEqual({
      isValid: true,
      tableName: 'users',
      primaryKeyColumn: 'id',
      recordCount: 2,
      issues: [],
    });
    expect(await validateTableForSharding(old, ODD, 'i"d')).toMatchObject({ isValid: true, recordCount: 1 });
    const issues = async (...args: [string, string?]) => (await validateTableForSharding(old, ...args)).issues.join();
    expect(await issues('nothing')).toBe('There is no table nothing');
    expect(await issues('users', 'name')).toContain('name is not the primary key of users');
    expect(await issues('pairs')).toContain('not the primary key of pairs by itself');
    expect(await issues('loose')).toBe('loose has no column id,loose has no rows');
    expect(await issues('posts')).toBe('posts has no rows');
    expect(await issues('sqlite_master')).toMatch(/no table|of the system/);
  });

  it('discovers keys in pages, each once, whatever their type', async () => {
    const random = new Random(1);
    const keys = Array.from({ length: 12_000 }, (_, i) => `${random.below(1_000_000)}-${i}`);
    await old.prepare('insert into users (id) select value from json_each(?1)').bind(JSON.stringify(keys)).run();
    const found = await discoverExistingPrimaryKeys(old, 'users');
    expect(new Set(found)).toEqual(new Set(keys));
    expect(found).toHaveLength(keys.length);
    let count = 0;
    for await (const key of discoverExistingPrimaryKeys(old, 'users')) if (key !== '') count++;
    expect(count).toBe(keys.length);

    await seed(old, [
      'insert into tickets (id) values (-3), (0), (5), (9007199254740993), (9223372036854775807)',
      'create table mixed (id integer, k)',
      "insert into mixed values (1, 'b'), (2, 7), (3, null), (4, x'00'), (5, 'b'), (6, 1.5)",
    ]);
    expect(await discoverExistingPrimaryKeys(old, 'tickets')).toEqual([
      '-3',
      '0',
      '5',
      '9007199254740993',
      '9223372036854775807',
    ]);
    // A page ends on an integer that no JavaScript number is.
    await old
      .prepare(
        'with n(i) as (select 9007199254740994 union all select i + 1 from n limit 5010) insert or ignore into tickets (id) select i from n where i > 9007199254740993',
      )
      .run();
    const large = await discoverExistingPrimaryKeys(old, 'tickets');
    expect([large.length, new Set(large).size]).toEqual([5015, 5015]);
    expect(await discoverExistingPrimaryKeys(old, 'mixed', 'k')).toEqual(['1.5', '7', 'b']);
    const error = await failureOf(discoverExistingPrimaryKeys(old, 'users', 'no such"column'));
    expect(error).toMatchObject({ code: 'DISCOVERY_FAILED' });
  });
});

describe('integrateExistingDatabase', () => {
  /** A key that another database owns by its slot. */
  const twice = keysOf('k', 50).find((key) => hashOwner(['db-east', 'db-west', 'db-central'])(key) !== 'db-east');
  const fill = async () => {
    await seed(old, [
      "insert into users (id) values ('u1'), ('u2'), ('u3')",
      "insert into posts (id, user_id) values ('p1', 'u1'), ('p2', 'u2')",
      'create table loose (name text)',
      "insert into loose values ('x')",
      'create table d1_migrations (id integer primary key)',
      'insert into d1_migrations values (1)',
      `create table ${QUOTED} (id text primary key)`,
      `insert into ${QUOTED} values ('odd')`,
    ]);
  };

  it.each(['KV records', 'a cluster', 'a cluster that is not made yet'])(
    'of %s: a dry run changes nothing and tells what a real run does',
    async (where) => {
      await fill();
      if (where === 'a cluster') {
        const { db } = initialize(configOf(databases, { disableAutoMigration: true }));
        await db.$client.prepare(`insert into users (id) values ('${twice}')`).run();
        await seed(old, [`insert into users (id) values ('${twice}')`]);
      }
      if (where === 'a cluster that is not made yet') {
        const shardWeights = { 'db-east': 1, 'db-west': 3, 'db-central': 0.5 };
        initialize(configOf(databases, { shardWeights }));
        // On every database: each key lives on its home.
        const keys = keysOf('k', 20).map((key) => `('${key}')`);
        for (const d1 of Object.values(databases)) await seed(d1, [`insert into users (id) values ${keys.join()}`]);
      }
      const mapper = new KVShardMapper(env.KV);
      const before = [await kvContents(), ...(await Promise.all(Object.values(databases).map(contents)))];
      const dry = await integrateExistingDatabase(old, 'db-east', mapper, { dryRun: true });
      expect([await kvContents(), ...(await Promise.all(Object.values(databases).map(contents)))]).toEqual(before);
      const real = await integrateExistingDatabase(old, 'db-east', mapper);
      expect(dry).toEqual(real);
      expect(real).toMatchObject({ success: true, shardName: 'db-east', tablesProcessed: 3 });
      expect(real.issues.join()).toContain('loose has no column id');
      expect(real.issues.join()).not.toContain('d1_migrations');
      if (where === 'a cluster') {
        expect(real.issues.join()).toContain(`The key '${twice}' of users lives on`);
        expect(real).toMatchObject({ totalRecords: 7, mappingsCreated: 6 });
      } else if (where === 'KV records') expect(real).toMatchObject({ totalRecords: 6, mappingsCreated: 6 });
      else {
        expect(real.totalRecords).toBe(26);
        expect(real.mappingsCreated).toBeLessThan(26);
      }
      for (const key of ['u1', 'u2', 'u3', 'p1', 'p2', 'odd']) {
        expect((await mapper.getShardMapping(key))?.shard).toBe('db-east');
      }
    },
  );

  it('throws nothing when a database does not answer', async () => {
    const broken = faultyD1(old, { failOn: () => new Error('D1_ERROR: gone') });
    const result = await integrateExistingDatabase(broken, 'db-east', new KVShardMapper(env.KV));
    expect(result).toMatchObject({ success: false, tablesProcessed: 0 });
    expect(result.issues.join()).toContain('gone');
  });
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

  it('is done by the first statement, for every database', async () => {
    const keys = keysOf('old-', 40);
    for (const [i, d1] of Object.values(databases).entries()) {
      const own = keys.filter((_, at) => at % 3 === i);
      await d1
        .prepare("insert into users (id, name) select value, 'x' from json_each(?1)")
        .bind(JSON.stringify(own))
        .run();
    }
    initialize(configOf(databases));
    for (const id of keys) expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    clearMigrationCache();
    const { db } = initialize(configOf(databases));
    for (const id of keys) expect(await first(id, 'SELECT id FROM users WHERE id = ?', [id])).toEqual({ id });
    expect((await db.$cluster.verify()).findings).toEqual([]);
  });

  it('can be turned off', async () => {
    await seed(
      old,
      keysOf('old-', 20).map((id) => `insert into users (id) values ('${id}')`),
    );
    initialize(configOf(databases, { disableAutoMigration: true }));
    const found = await Promise.all(
      keysOf('old-', 20).map((id) => first(id, 'SELECT id FROM users WHERE id = ?', [id])),
    );
    expect(found).toContain(null);
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
