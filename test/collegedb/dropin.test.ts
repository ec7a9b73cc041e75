import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import {
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
import { configOf, contents, fresh, kvContents, seed } from './fixture';

const ODD = 'order "by"; --';
const QUOTED = '"order ""by""; --"';

let databases: Record<string, D1Database>;
let old: D1Database;
beforeEach(async () => {
  databases = await fresh();
  old = databases['db-east'] as D1Database;
});

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
      if (where !== 'a cluster') await fill();
      if (where === 'a cluster') {
        // Rows that are put into a database behind the router's back.
        const { db } = initialize(configOf(databases));
        await db.$client.prepare(`insert into users (id) values ('${twice}')`).run();
        await fill();
        await seed(old, [`insert into users (id) values ('${twice}')`]);
      }
      if (where === 'a cluster that is not made yet') {
        initialize(configOf(databases));
        const rows = (keys: readonly string[]) =>
          `insert into users (id) values ${keys.map((key) => `('${key}')`).join()}`;
        await seed(old, [rows(keysOf('k', 20))]);
        await seed(databases['db-west'] as D1Database, [rows([...keysOf('k', 5), ...keysOf('w', 5)])]);
        await seed(databases['db-central'] as D1Database, [rows(['k0', 'k7', ...keysOf('c', 5)])]);
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
        expect(real).toMatchObject({ totalRecords: 26, mappingsCreated: 20 });
        expect(real.issues.filter((issue) => issue.includes('every statement with it is refused'))).toEqual(
          ['k0', 'k1', 'k2', 'k3', 'k4', 'k7'].map((key) =>
            expect.stringContaining(
              `The key '${key}' of users has rows on ${
                { k0: 'db-east and db-west and db-central', k7: 'db-east and db-central' }[key] ?? 'db-east and db-west'
              }:`,
            ),
          ),
        );
        const { db } = initialize(configOf(databases));
        expect((await db.$cluster.adoption()).pending).toEqual([]);
        expect(await failureOf(first('k7', 'SELECT id FROM users WHERE id = ?', ['k7']))).toMatchObject({
          code: 'ADOPTION_CONFLICT',
        });
        expect(await first('c3', 'SELECT id FROM users WHERE id = ?', ['c3'])).toEqual({ id: 'c3' });
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
