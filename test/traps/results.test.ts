import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { plain } from '../support/shards';
import { bound, expectSameContents, expectSameWrite, failureOf, migrate, standardWorld, type World } from './support';

let world: World;

/** What every way of asking gives. */
async function everyForm(database: D1Database, text: string, params: readonly unknown[]) {
  const statement = () => bound(database, text, params);
  return {
    raw: await statement().raw(),
    named: await statement().raw({ columnNames: true }),
    all: (await statement().all()).results.map((row) => Object.entries(row)),
    run: (await statement().run()).results,
    first: await statement().first(),
    success: (await statement().all()).success,
  };
}

describe('the shape of results', () => {
  beforeAll(async () => {
    world = await standardWorld();
  });

  it.each<[string, ...unknown[]]>([
    ['select id, id from users where id in (?, ?) order by id', 'u1', 'u2'],
    ['select id, name as id, age as id from users order by 1'],
    ['select id as "2", name as "1", age as x from users order by id limit 3'],
    ['select u.*, p.* from users u join posts p on p.user_id = u.id order by p.id limit 2'],
    ['select u.id, v.id, u.id from users u join users v on u.age = v.age and u.id < v.id order by 1, 2'],
    ['select u.id as "1", v.id as "0" from users u join users v on u.age = v.age and u.id < v.id order by 1, 2'],
    ["select ID, Users.Age, 1+1, 'x', upper(name), count(*) from USERS where id = 'u1'"],
    ["select ID, Users.Age, 1+1, 'x', upper(name) from USERS order by id limit 1"],
    ['select count(*), max(age) as m from users'],
    ['select id from users order by id limit 1'],
    ['select id from users order by id limit 2'],
    ['select 1'],
    ['select age from users order by age'],
  ])('is that of one database: %s', async (text, ...params) => {
    const expected = await everyForm(plain, text, params);
    expect(await everyForm(world.one, text, params)).toEqual(expected);
    expect(await everyForm(world.three, text, params)).toEqual(expected);
  });

  it.each([
    'select id, name from users where 0',
    "select id, age from users where id = 'none'",
    "select id, age from users where id in ('n1', 'n2', 'n3', 'n4', 'n5')",
    'select id, id from users where age > 100',
    'select u.id, v.id from users u join users v on u.age = v.age and u.id < v.id where u.age > 100',
    'select age, count(*) from users where age > 100 group by age',
  ])('without rows is that of one database: %s', async (text) => {
    const expected = await everyForm(plain, text, []);
    expect(await everyForm(world.one, text, [])).toEqual(expected);
    expect(await everyForm(world.three, text, [])).toEqual(expected);
  });

  it('first(column) gives a value, null without a row, and fails for a column that is not there', async () => {
    for (const database of [plain, world.one, world.three]) {
      expect(await database.prepare('select id, age from users order by id').first('id')).toBe('u0');
      expect(await database.prepare('select id from users where age > 100').first('id')).toBeNull();
      expect(await database.prepare('select count(*) as n from users').first('n')).toBe(16);
      expect((await failureOf(database.prepare('select id from users').first('none'))).message).toMatch(/COLUMN|olumn/);
    }
  });

  it.each<[string, unknown[]]>([
    ['select id from users where id = ?', ['u1', 'u2']],
    ['select id from users where age > ?', [1, 2]],
    ['select id from users where age = ? or id = ?', [1]],
    ['select id from users where age = ?', []],
    ['select id from users where age = ?', [undefined]],
    ['select id from users where age = ?', [10n]],
    ['select id from users where age = ?2', [1]],
    ['update users set age = 1', [1]],
  ])('bound values that do not fit fail as they do on one database: %s', async (text, params) => {
    for (const database of [plain, world.one, world.three]) {
      await failureOf(Promise.resolve().then(() => bound(database, text, params).all()));
    }
  });
});

describe('counts and returned rows', () => {
  beforeEach(async () => {
    world = await standardWorld();
  });

  it.each([
    ['users', "delete from users where id = 'none'"],
    ['users', 'delete from users where age > 100'],
    ['users', 'delete from users where id = null'],
    ['users', 'update users set age = 1 where age > 100'],
    ['users', "update users set age = 1 where id in ('n1', 'n2', 'n3', 'n4')"],
    ['users', 'delete from users where age = (select max(age) + 1 from users)'],
    ['tags', "insert or ignore into tags (id) values ('u1'), ('u2'), ('u3'), ('u4')"],
    ['tags', "insert into tags (id) values ('u1'), ('u2'), ('u3') on conflict do nothing"],
    ['countries', "update countries set name = 'x' where code = 'none'"],
    ['countries', "insert into countries (code, name) values ('it', 'Italy'), ('es', 'Spain') returning *"],
    ['countries', "insert or ignore into countries (code, name) values ('de', 'x'), ('es', 'Spain')"],
    ['countries', 'update countries set name = upper(name) returning code, name'],
    ['countries', 'delete from countries'],
    ['settings', "insert into settings (id, v) values ('x', 'y') returning id"],
    ['users', 'update users set age = age + 1'],
    ['users', 'delete from users'],
  ])('are those of one database in %s: %s', (table, text) => expectSameWrite(world, table, text));

  it.each([
    "insert into users (id, name) values ('k1', 'A'), ('k2', 'B'), ('k3', 'C'), ('k4', 'D'), ('k5', 'E') returning id",
    "insert into users (id, name) values ('k1', 'A'), ('k2', 'B'), ('k3', 'C'), ('k4', 'D') returning *",
    "insert into users (id, name) values ('k1', 'A'), ('k2', 'B'), ('k3', 'C'), ('k4', 'D') returning lower(name), upper(name)",
    "insert into users (id, name) values ('k1', 'A'), ('k2', 'B'), ('k3', 'C'), ('k4', 'D') returning name as n, ID, 1 + 1",
    "insert into users (id, age) values ('u1', 5), ('k2', 6), ('u3', 7), ('k4', 1) on conflict (id) do update set age = excluded.age + users.age returning id, age",
    "insert into users (id, age) values ('u1', 5), ('k2', 6), ('u3', 7), ('k4', 1) on conflict (id) do update set age = 9 where users.age > 1 returning age, name",
    "insert into users (id, age) values ('u1', 5), ('k2', 6), ('u3', 7), ('k4', 1) on conflict (id) do nothing returning age",
    "insert or ignore into users (id, age) values ('k9', 5), ('u2', 6), ('k7', 7), ('u5', 1), ('k9', 8) returning age, id",
    "insert into posts (id, user_id) values ('x1', 'u1'), ('x2', 'u2'), ('x3', 'u1'), ('x4', 'u3'), ('x5', 'u1') returning id",
    "insert into posts (id, user_id) values ('x1', 'u1'), ('x1', 'u1'), ('x3', 'u4'), ('p0', 'u1') on conflict do nothing returning id",
  ])('of an insert come in the order of its values: %s', async (text) => {
    if (text.includes("('x1', 'u1'), ('x1'")) {
      const error = await failureOf(world.three.prepare(text).all());
      expect(error.code).toBe('UNSUPPORTED_STATEMENT');
    } else await expectSameWrite(world, text.includes('posts') ? 'posts' : 'users', text);
  });

  it('of an insert as arrays keep columns of one name and names like numbers', async () => {
    await migrate('create table odd ("2" integer, id text primary key, "1" text)');
    const values = "values ('k1', 1, 'a'), ('k2', 2, 'b'), ('k3', 3, 'c'), ('k4', 4, 'd')";
    for (const list of ['id, "1" as id, "2" as id', '*', '*, id', '"2", "1", id', 'id as "7", "2" as "3"']) {
      const text = `insert or replace into odd (id, "2", "1") ${values} returning ${list}`;
      const expected = await plain.prepare(text).raw({ columnNames: true });
      expect(await world.one.prepare(text).raw({ columnNames: true }), list).toEqual(expected);
      expect(await world.three.prepare(text).raw({ columnNames: true }), list).toEqual(expected);
    }
  });

  it('of rows that were found first keep columns of one name', async () => {
    const text =
      'update users set age = 77 where age = (select max(age) from users) returning id, name as id, age as "0"';
    const sorted = async (database: D1Database) =>
      (await database.prepare(text).raw()).map((row) => JSON.stringify(row)).sort();
    const expected = await sorted(plain);
    expect(await sorted(world.three)).toEqual(expected);
  });

  it('more than 100 values are split, and returned in their order', async () => {
    const params = Array.from({ length: 130 }, (_, i) => [`k${i}`, i]).flat();
    const text = `insert into users (id, age) values ${Array.from({ length: 130 }, () => '(?, ?)').join(', ')} returning age`;
    for (const database of [world.one, world.three]) {
      const { results, meta } = await database
        .prepare(text)
        .bind(...params)
        .all<{ age: number }>();
      expect(results.map(({ age }) => age)).toEqual(Array.from({ length: 130 }, (_, i) => i));
      expect(meta.changes).toBe(130);
    }
    const literal = text.replace(/\(\?, \?\)/g, () => `('${params.shift()}', ${params.shift()})`);
    await plain.prepare(literal).run();
    await expectSameContents(world, 'users');
  });

  it('more than 100 values in the conditions of a write', async () => {
    const ids = Array.from({ length: 140 }, (_, i) => `u${i + 3}`);
    const marks = ids.map(() => '?').join(', ');
    const literal = ids.map((id) => `'${id}'`).join(', ');
    for (const [write, params] of [
      [(list: string) => `update users set age = ? where id in (${list}) and age > 1`, [8, ...ids]],
      [
        (list: string) => `update users set age = ? where id in (${list}) and age = (select max(age) from users)`,
        [9, ...ids],
      ],
      [(list: string) => `delete from users where id in (${list}) and age = ?`, [...ids, 9]],
      [(list: string) => `delete from users where id not in (${list})`, ids],
    ] as const) {
      const expected = await plain
        .prepare(write(literal))
        .bind(...params.filter((value) => typeof value === 'number'))
        .run();
      for (const database of [world.one, world.three]) {
        const result = await database
          .prepare(write(marks))
          .bind(...params)
          .run();
        expect(result.meta.changes, write('…')).toBe(expected.meta.changes);
      }
      await expectSameContents(world, 'users');
    }
  });

  it('last_row_id is that of the row of a keyed insert', async () => {
    await migrate('create table numbers (id integer primary key, v integer)');
    for (const database of [plain, world.one, world.three]) {
      const result = await database.prepare('insert into numbers (id, v) values (?, 1)').bind(4711).run();
      expect(result.meta.last_row_id).toBe(4711);
      expect(result.meta.changes).toBe(1);
    }
  });
});
