import { eq } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { keysOf } from '../placement/fixture';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { Mortal } from '../support/mortal';
import { hashOwner } from '../support/owner';
import { resetDatabases } from '../support/reset';
import { run, runEverywhere } from '../support/seed';
import { MAX_SHARDS, shards } from '../support/shards';

const countries = sqliteTable('countries', { code: text('code').primaryKey(), name: text('name').notNull() });
const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  country: text('country').references(() => countries.code, { onDelete: 'set null' }),
});
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id').references(() => users.id, { onDelete: 'cascade' }),
});
const schema = { countries, users, posts };
const DDL = [
  'create table countries (code text primary key, name text not null)',
  'create table users (id text primary key, country text references countries (code) on delete set null)',
  'create table posts (id integer primary key, user_id text references users (id) on delete cascade)',
];
const KEYS = keysOf('u', 30);
const homeOf = hashOwner(['s0', 's1', 's2']);

describe('verify', () => {
  let fleet: Fleet;
  let db: ReturnType<typeof open>;
  const open = (config = fleet.isolate(3).config) =>
    shardedDrizzle({ ...config, schema, tables: { posts: { key: 'userId' }, countries: { replicated: true } } });
  const on = (shard: string, ...sql: string[]) => run(shards(3)[shard] as D1Database, sql);
  const found = async (settings?: { repair: boolean }) => {
    const { ok, findings } = await db.$cluster.verify(settings);
    return {
      ok,
      findings: findings.map(({ kind, shard, key, table, repaired }) => ({ kind, shard, key, table, repaired })),
    };
  };

  beforeEach(async () => {
    await resetDatabases();
    await runEverywhere(shards(MAX_SHARDS), DDL);
    fleet = new Fleet('coordinator');
    db = open();
    await db.insert(countries).values([
      { code: 'fr', name: 'France' },
      { code: 'it', name: 'Italia' },
    ]);
    await db.insert(users).values(KEYS.map((id) => ({ id, country: 'fr' })));
    await db.insert(posts).values(KEYS.map((userId) => ({ userId })));
    await db.$cluster.reassign('u3', 's2');
    await db.$cluster.moveSlots({ lo: 0, hi: 1000 }, 's1');
  });

  it('counts what is there, and finds nothing in a cluster that is well', async () => {
    const report = await db.$cluster.verify();
    expect(report).toMatchObject({ ok: true, findings: [] });
    expect(report.text).toContain('all is well');
    const sum = (table: string) =>
      report.tables.filter((one) => one.table === table).reduce((total, { rows }) => total + rows, 0);
    expect([sum('users'), sum('posts'), sum('countries')]).toEqual([30, 30, 6]);
    const checksums = report.tables.filter(({ table }) => table === 'countries').map(({ checksum }) => checksum);
    expect(new Set(checksums).size).toBe(1);
  });

  it('finds rows that no query finds, and leaves them alone', async () => {
    const [first, second] = keysOf('x', 20).filter((id) => homeOf(id) === 's2') as [string, string];
    await on('s1', `insert into users (id) values ('${first}'), ('${second}')`);
    const stray = [first, second].map((key) => ({
      kind: 'stray',
      shard: 's1',
      key,
      table: undefined,
      repaired: false,
    }));
    expect(await found({ repair: true })).toEqual({ ok: false, findings: expect.arrayContaining(stray) });
    expect(await rowsEverywhere("select id from users where id like 'x%'", shards(3))).toHaveLength(2);
  });

  it('finds keys on two shards, and takes copies away that are no loss', async () => {
    const [same, other] = KEYS.filter((id) => homeOf(id) === 's2' && id !== 'u3') as [string, string];
    await on(
      's0',
      `insert into users (id, country) values ('${same}', 'fr')`,
      `insert into users (id, country) values ('${other}', 'it')`,
    );
    const expected = [
      { kind: 'duplicate', shard: 's0', key: same, table: undefined, repaired: false },
      { kind: 'duplicate', shard: 's0', key: other, table: undefined, repaired: false },
    ];
    expect(await found()).toEqual({ ok: false, findings: expect.arrayContaining(expected) });
    const mended = await found({ repair: true });
    expect(mended.findings).toEqual(expect.arrayContaining([{ ...expected[0], repaired: true }, expected[1]]));
    expect((await found()).findings).toEqual([expected[1]]);
    expect(await db.select().from(users).where(eq(users.id, same))).toEqual([{ id: same, country: 'fr' }]);
    expect(await db.$count(posts, eq(posts.userId, same))).toBe(1);
  });

  it('finds reference tables that differ, and copies them', async () => {
    await on(
      's1',
      "update countries set name = 'Frankreich' where code = 'fr'",
      "delete from countries where code = 'it'",
    );
    const finding = { kind: 'replica', shard: 's1', key: undefined, table: 'countries' };
    expect(await found()).toEqual({ ok: false, findings: [{ ...finding, repaired: false }] });
    expect(await found({ repair: true })).toEqual({ ok: true, findings: [{ ...finding, repaired: true }] });
    expect(await found()).toEqual({ ok: true, findings: [] });
    // Rows that refer to what was mended are as they were.
    expect(await db.$count(users, eq(users.country, 'fr'))).toBe(30);
  });

  it('does not delete a row of a reference table that others refer to', async () => {
    await on('s1', "insert into countries values ('xx', 'Nowhere')");
    const finding = { kind: 'replica', shard: 's1', key: undefined, table: 'countries', repaired: false };
    expect(await found({ repair: true })).toEqual({ ok: false, findings: [finding] });
    expect(await db.$shard('s1').select().from(countries)).toHaveLength(3);
  });

  it('finds rows without a key, slots that two own, and a database that was restored', async () => {
    await on('s0', 'insert into posts (user_id) values (null)');
    expect((await found()).findings).toEqual([
      { kind: 'keyless', shard: 's0', key: undefined, table: 'posts', repaired: false },
    ]);
    await on('s0', "insert into _shard_slots values ('default', 0, 10)");
    expect((await found()).findings.map(({ kind, shard }) => [kind, shard])).toEqual([
      ['slots', 's0'],
      ['keyless', 's0'],
    ]);
    await on('s0', 'update _shard_identity set digest = digest + 1');
    expect((await found()).findings.map(({ kind }) => kind)).toContain('digest');
  });

  it('finds a record that leads nowhere', async () => {
    await on('s2', "update _shard_keys set at = 's1' where key = 'u3'");
    expect((await found()).findings).toEqual(
      expect.arrayContaining([
        {
          kind: 'unreachable',
          shard: homeOf('u3') === 's2' ? 's1' : homeOf('u3'),
          key: 'u3',
          table: undefined,
          repaired: false,
        },
      ]),
    );
  });

  it('finds a move that nobody is at work on, until it is resumed', async () => {
    const mortal = new Mortal(fleet.isolate(3).config);
    const dying = open(mortal.config as typeof db extends never ? never : ReturnType<Fleet['isolate']>['config']);
    await dying.$cluster.shards();
    mortal.dooms('insert or replace into _shard_stage', 'die before');
    await expect(dying.$cluster.reassign('u5', homeOf('u5') === 's0' ? 's1' : 's0')).rejects.toThrow('dead');
    await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
    expect((await found()).findings.map(({ kind }) => kind)).toEqual(['unfinished']);
    await db.$cluster.resume();
    expect(await found()).toEqual({ ok: true, findings: [] });
  });
});
