import { beforeEach, describe, expect, it } from 'vitest';
import { plain } from '../support/shards';
import {
  bound,
  contents,
  expectRefused,
  expectSame,
  expectSameContents,
  expectSameWrite,
  failureOf,
  makeWorld,
  threeShards,
  type World,
} from './support';

let world: World;

const texts = "insert into texts (id, v) values ('1', 1), ('1.0', 2), ('5', 3), ('true', 4), ('x', 5), ('y', 6)";
const numbers = `insert into numbers (id, v) values (1, 1), (2, 2), (-3, 3), (0, 4), (9007199254740991, 5),
  (9007199254740992, 6), (9007199254740993, 7), ('9223372036854775807', 8)`;

beforeEach(async () => {
  world = await makeWorld(
    [
      'create table texts (id text primary key, v integer)',
      'create table numbers (id integer primary key, v)',
      'create table notes (id text primary key, owner text, body text, unique (owner, body))',
      "create table shapes (a integer generated always as (b * 2) virtual, b integer, id text default 'd' primary key, c integer as (b + 1) stored)",
      'create table emails (id text primary key, address text unique)',
      'create table logins (id text primary key, name text)',
      'create unique index login_names on logins (lower(name))',
    ],
    [
      texts,
      numbers,
      "insert into notes (id, owner, body) values ('n1', 'x', 'b1'), ('n2', 'y', 'b2'), ('n3', 'z', 'b3')",
      "insert into emails (id, address) values ('a', '1'), ('b', '2'), ('c', '3'), ('d', '4')",
      "insert into logins (id, name) values ('a', 'Ada'), ('b', 'Bob'), ('c', 'Cy'), ('d', 'Di')",
    ],
    { notes: { key: 'owner' } },
  );
});

describe('numbers and booleans against a text key', () => {
  it.each<[string, ...unknown[]]>([
    ['select id, v from texts where id = 1'],
    ['select id, v from texts where id = ?', 1],
    ['select id, v from texts where ? = id', 5],
    ['select id, v from texts where id = ?', true],
    ['select id, v from texts where id in (1, ?)', 5],
    ['select id, v from texts where id in (select value from json_each(?))', '[1, 5, true, "x"]'],
    ['select id, v from texts where id = 1.0'],
    ["select id, v from texts where id = '5'"],
    ["select id, v from texts where id = x'78'"],
    ['select id, v from texts where id = null'],
    ['select id, v from texts where id is ?', 'x'],
    ["select id, v from texts where id = 'X' collate nocase"],
  ])('reads as one database does: %s', (sql, ...params) => expectSame(world, sql, ...params).then(() => undefined));

  it('updates and deletes as one database does', async () => {
    await expectSameWrite(world, 'texts', 'update texts set v = 10 where id = ?', 1);
    await expectSameWrite(world, 'texts', 'delete from texts where id in (1, ?)', 5);
  });

  it.each<[string, ...unknown[]]>([
    ["insert into texts (id, v) values (7, 'x')"],
    ['insert into texts (id, v) values (?, 1)', 7],
    ['insert into texts (id, v) values (?, 1)', true],
    ["insert into texts (id, v) values ('ok', 1), (?, 1)", 7],
    ['insert into texts (id, v) values (?, 1)', null],
    ['insert into texts (v) values (1)'],
    ['insert into texts default values'],
  ])('refuses to insert: %s', (sql, ...params) => expectRefused(world, 'SHARD_KEY', 'texts', sql, ...params));

  it('works out a key that is an expression first', () =>
    expectSameWrite(world, 'texts', "insert into texts (id, v) values (lower('Q'), 1), (7 || '', 2) returning id"));

  it('refuses to set the key to a number', async () => {
    await expectRefused(world, 'SHARD_KEY_CHANGE', 'texts', "update texts set id = 5 where id = '5'");
    await expectRefused(world, 'SHARD_KEY_CHANGE', 'texts', "update texts set id = ? where id = 'x'", 5);
  });
});

describe('integer keys', () => {
  it.each<[string, ...unknown[]]>([
    ["select id || '', v from numbers where id = '1'"],
    ["select id || '', v from numbers where id = ?", '1.0'],
    ["select id || '', v from numbers where id = ?", ' +2 '],
    ["select id || '', v from numbers where id in (1.0, ?, true)", '-3'],
    ["select id || '', v from numbers where id = ?", -0],
    ["select id || '', v from numbers where id = ?", true],
    ["select id || '', v from numbers where id = ?", 1.5],
    ["select id || '', v from numbers where id = ?", 'abc'],
    ["select id || '', v from numbers where id = x'31'"],
    ["select id || '', v from numbers where id = 0x2"],
    ["select id || '', v from numbers where id = 9007199254740993"],
    ["select id || '', v from numbers where id = ?", '9007199254740993'],
    ["select id || '', v from numbers where id = ?", 9007199254740992],
    ["select id || '', v from numbers where id in (9007199254740993, ?)", '9223372036854775807'],
    ["select id || '', v from numbers where id = 9223372036854775808"],
    ["select id || '', v from numbers where id in (select value from json_each(?))", '[1, "2", 9007199254740993]'],
  ])('are found whatever the type of the value: %s', async (sql, ...params) => {
    await expectSame(world, sql, ...params);
  });

  it('take integers beyond 2^53 as text', async () => {
    await expectSameWrite(world, 'numbers', 'insert into numbers (id, v) values (?, 1)', '9007199254740995');
    await expectSameWrite(world, 'numbers', "insert into numbers (id, v) values ('77', 1), (78.0, 2), ('79.0', 3)");
    await expectRefused(world, 'SHARD_KEY', 'numbers', 'insert into numbers (id, v) values (?, 1)', 2 ** 53 + 4);
    await expectRefused(world, 'SHARD_KEY', 'numbers', 'insert into numbers (id, v) values (?, 1)', 1.5);
    await expectRefused(world, 'SHARD_KEY', 'numbers', 'insert into numbers (v) values (1)');
    await expectRefused(world, 'SHARD_KEY', 'numbers', 'insert into numbers (id, v) values (null, 1)');
  });

  it.each([
    'delete from numbers where id > 1000 order by v desc limit 2',
    "update numbers set v = 'found' where id = (select max(id) from numbers where v < 8)",
    'update numbers set v = v + 1 where v < (select max(v) from numbers)',
    'update numbers set v = 0 where id in (select id + 1 from numbers)',
    "delete from numbers where id in (select max(id) from numbers where id < 9007199254740993 or v = 'none')",
  ])('beyond 2^53 are not mixed up when rows are found first: %s', (sql) => expectSameWrite(world, 'numbers', sql));

  it('are computed with in SQLite', async () => {
    const sql = "select cast(id + 1000 as text) from numbers where v = 7 union select 'none' order by 1";
    expect(await expectSame(world, sql)).toContainEqual(['9007199254741993']);
  });
});

describe('setting the shard key', () => {
  it.each([
    "update texts set id = id where id = 'x'",
    "update texts set id = 'x', v = 9 where id = 'x'",
    'update texts set v = 9, id = texts.id where v = 5',
    'update texts as t set id = t.id where v = 5',
    "update texts set id = 'x' where v = 5",
    "update texts set id = 'other' where v = 500",
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = excluded.id, v = 8",
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = 'x', v = 8",
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = texts.id, v = excluded.v + 1",
  ])('to what it is changes nothing else: %s', (sql) => expectSameWrite(world, 'texts', sql));

  it.each([
    "update texts set id = 'other' where id = 'x'",
    "update texts set id = id || 'x' where v = 5",
    "update texts set id = 'other'",
    'update texts set id = null where v = 5',
    "update texts set (id, v) = ('other', 1) where id = 'x'",
    "update or ignore texts set id = 'y' where id = 'x'",
    "update or replace texts set id = 'y' where id = 'x'",
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = 'y'",
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = id || 'x'",
    "insert into texts (id, v) values ('x', 9), ('q', 9) on conflict (id) do update set id = 'x'",
    // A text that looks like the column's name.
    "insert into texts (id, v) values ('x', 9) on conflict (id) do update set id = 'id'",
    "update texts set id = 'id' where id = 'x'",
  ])('to another value is refused: %s', (sql) => expectRefused(world, 'SHARD_KEY_CHANGE', 'texts', sql));

  it('beyond 2^53 is not mistaken for the neighbouring number', async () => {
    const sql = 'update numbers set id = ? where v = 7';
    await expectRefused(world, 'SHARD_KEY_CHANGE', 'numbers', sql, '9007199254740992');
    await expectSameWrite(world, 'numbers', sql, '9007199254740993');
  });
});

describe('values that each shard would fill in by itself', () => {
  beforeEach(async () => {
    world = await makeWorld(
      [
        'create table made (code text primary key, at text default (hex(randomblob(8))), n integer default 5)',
        'create table counted (id integer primary key autoincrement, v text)',
      ],
      [],
      { made: { replicated: true } },
    );
  });

  it.each<[string, string, ...unknown[]]>([
    ['made', "insert into made (code) values ('a')"],
    ['made', "insert into made (code, at) values ('a', 'b') on conflict (code) do update set at = hex(randomblob(8))"],
    ['made', "insert into made (code, at) values ('a', 'b') returning strftime('%s', 'now')"],
  ])('are refused in %s: %s', async (table, sql, ...params) => {
    const error = await failureOf(bound(world.three, sql, params).run());
    expect(['SHARD_KEY', 'UNSUPPORTED_STATEMENT']).toContain(error.code);
    expect(await contents(threeShards, table)).toEqual([]);
  });

  it.each(['hex(randomblob(8))', "strftime('%s', 'now')", 'current_timestamp'])(
    'are worked out once for all copies: %s',
    async (value) => {
      await world.three.prepare(`insert into made (code, at) values ('a', ${value})`).run();
      const copies = await Promise.all(Object.values(threeShards).map((one) => contents({ one }, 'made')));
      expect(copies[0]).toHaveLength(1);
      expect(copies).toEqual(copies.map(() => copies[0]));
    },
  );

  it('are taken when they are given', async () => {
    await expectSameWrite(world, 'made', "insert into made (code, at) values ('a', 'x'), ('b', 'y') returning *");
    await expectSameWrite(world, 'counted', "insert into counted (id, v) values (5, 'a'), (6, 'b'), (7, 'c')");
  });
});

describe('a unique value that may be on another shard', () => {
  it.each([
    ['notes', "insert into notes (id, owner, body) values ('n1', 'y', 'q') on conflict (id) do nothing"],
    ['notes', "insert into notes (id, owner, body) values ('n1', 'y', 'q') on conflict do nothing"],
    ['notes', "insert into notes (id, owner, body) values ('n1', 'y', 'q') on conflict (id) do update set body = 'w'"],
    ['notes', "insert or ignore into notes (id, owner, body) values ('n1', 'y', 'q')"],
    ['notes', "insert or replace into notes (id, owner, body) values ('n1', 'y', 'q')"],
    ['notes', "replace into notes (id, owner, body) values ('n1', 'y', 'q')"],
    ['notes', "update or ignore notes set id = 'n2' where id = 'n1'"],
    ['notes', "update or replace notes set id = 'n2' where id = 'n1'"],
    ['emails', "insert or replace into emails (id, address) values ('z', '1')"],
    ['emails', "insert or ignore into emails (id, address) values ('z', '1')"],
    ['emails', "update or replace emails set address = '2' where id = 'a'"],
    ['emails', "update or ignore emails set address = '2'"],
    ['logins', "insert or ignore into logins (id, name) values ('y', 'ADA'), ('z', 'BOB')"],
    ['logins', "insert into logins (id, name) values ('z', 'ADA') on conflict do nothing"],
    ['logins', "insert into logins (id, name) values ('z', 'ADA') on conflict (lower(name)) do update set name = 'x'"],
    ['logins', "update or replace logins set name = 'bob' where id = 'a'"],
  ])('is not overwritten or skipped quietly in %s: %s', (table, sql) =>
    expectRefused(world, 'UNSUPPORTED_STATEMENT', table, sql),
  );

  it.each([
    "insert into notes (id, owner, body) values ('q', 'x', 'b1') on conflict (owner, body) do nothing",
    "insert into notes (id, owner, body) values ('q', 'x', 'b1') on conflict (owner, body) do update set id = 'new'",
    "insert into notes (id, owner, body) values ('n9', 'x', 'b9') returning owner, id",
    "update or ignore notes set body = 'b1' where owner = 'x'",
  ])('is handled when it includes the shard key: %s', (sql) => expectSameWrite(world, 'notes', sql));
});

describe('values without a column list', () => {
  it('go to the columns of the database, leaving out generated ones', async () => {
    await expectSameWrite(world, 'shapes', "insert into shapes values (1, 'p'), (2, 'q'), (3, 'r'), (4, 's')");
    await expectSameWrite(
      world,
      'shapes',
      "insert into shapes (id, b) values ('t', 5), ('u', 6), ('v', 7) returning *",
    );
    await expectSame(world, "select * from shapes where id = 'q'");
    await expectSame(world, 'select a, b, c, id from shapes order by a desc');
    await expectSame(world, 'select max(a), sum(c) from shapes');
    await expectRefused(world, 'SHARD_KEY', 'shapes', 'insert into shapes (b) values (1)');
    await expectRefused(world, 'SHARD_KEY', 'shapes', 'insert into shapes default values');
  });

  it('are refused when there are too few or too many', async () => {
    const sql = "insert into texts values ('p', 1, 2)";
    expect((await failureOf(plain.prepare(sql).run())).message).toContain('2 columns but 3 values');
    await expectRefused(world, 'UNSUPPORTED_STATEMENT', 'texts', sql);
  });

  it('may come from several rows behind WITH, each with its own shard', async () => {
    const sql = "insert into texts (id, v) with q as (select 1) values ('k1', 1), ('k2', 2), ('k3', 3), ('k4', 4)";
    const error = await world.three
      .prepare(sql)
      .run()
      .then(() => undefined, failureCode);
    if (error === undefined) {
      await world.one.prepare(sql).run();
      await plain.prepare(sql).run();
      await expectSameContents(world, 'texts');
    } else {
      expect(error).toBe('UNSUPPORTED_STATEMENT');
      expect((await contents(threeShards, 'texts')).filter((row) => row.includes('k'))).toEqual([]);
    }
  });
});

const failureCode = (error: Error & { code?: string }): string => error.code ?? error.message;
