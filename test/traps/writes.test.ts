import { beforeEach, describe, expect, it } from 'vitest';
import { plain } from '../support/shards';
import { expectRefused, expectSameContents, expectSameWrite, makeWorld, standardWorld, type World } from './support';

let world: World;

describe('subqueries in writes', () => {
  beforeEach(async () => {
    world = await standardWorld();
  });

  it.each([
    [
      'users',
      "insert into users (id, age) values ('u1', 5) on conflict (id) do update set age = (select count(*) from posts)",
    ],
    ['users', "update users set age = 9 where id = 'u1' returning (select count(*) from posts)"],
    ['countries', "update countries set name = 'x' returning random()"],
  ])('over several shards are refused in a write to %s: %s', async (table, sql) => {
    await expectRefused(world, 'UNSUPPORTED_STATEMENT', table, sql);
  });

  it('are refused where the key that they give is null', async () => {
    const sql =
      'insert into orders (id, user_id) select u.id, p.user_id from users u left join posts p on p.user_id = u.id';
    await expectRefused(world, 'SHARD_KEY', 'orders', sql);
  });

  it.each([
    ['users', 'update users set age = (select count(*) from posts)'],
    ['users', 'update users set age = (select max(v.age) from users v) where age = 1'],
    ['users', 'update users set name = p.title from posts p where p.title = users.name'],
    [
      'users',
      "with q as (select count(*) n from posts) insert into users (id, age) values ('k1', (select n from q)), ('k2', 1)",
    ],
    ['users', "with q as (select count(*) n from posts) insert into users (id, age) select 'k1', n from q"],
    ['countries', "insert into countries (code, name) values ('it', (select count(*) from users))"],
    ['countries', 'insert into countries (code, name) select id, name from users'],
    ['countries', 'update countries set name = (select max(name) from users)'],
    ['countries', "delete from countries where (code, 1) in (select case age when 3 then 'de' end, 1 from users)"],
    ['settings', "insert into settings (id, v) values ('a', (select count(*) from users))"],
    ['tags', "insert into tags (id) select id || 'x' from users"],
    ['tags', "insert into tags (id) select id || 'x' from users order by age, id limit 3"],
    [
      'orders',
      'insert into orders (id, user_id) select x.id, x.id from (select id from users order by age, id limit 3) x',
    ],
  ])('are read first in a write to %s: %s', (table, sql) => expectSameWrite(world, table, sql));

  it.each([
    ['users', 'update users set age = (select count(*) from posts where user_id = users.id)'],
    [
      'users',
      'update users set age = (select count(*) from posts where user_id = users.id) where age = (select max(age) from users)',
    ],
    ['users', 'update users set name = p.title from posts p where p.user_id = users.id'],
    ['users', 'update users set name = c.name from countries c where length(c.name) = users.age + 5'],
    ['users', "update users set name = 'x' where exists (select 1 from settings s where s.v = 'dark')"],
    ['users', 'update users set age = 0 where age > (select avg(age) from users) returning id'],
    ['users', 'delete from users where id in (select max(user_id) from posts)'],
    ['users', 'delete from users where id in (select user_id from posts)'],
    ['users', 'delete from users where id not in (select user_id from posts)'],
    ['users', 'delete from users where exists (select 1 from posts where user_id = id)'],
    ['users', "delete from users where exists (select 1 from posts where posts.user_id = users.id and title = 'x')"],
    ['users', 'delete from users as u where u.age = (select max(v.age) from users v where v.name = u.name)'],
    ['users', 'with q as (select max(user_id) m from posts) delete from users where id = (select m from q)'],
    ['users', 'delete from users where age = (select count(*) from tags) - 5 returning id, name'],
    ['settings', 'update settings set v = 1 where id in (select id from users)'],
    ['settings', 'insert into settings (id, v) select id || 0, name from users'],
    ['tags', 'insert into tags (id) select id from users where true on conflict do nothing'],
    [
      'orders',
      'insert into orders (id, user_id, total) select p.id, p.user_id, 7 from posts p join users u on u.id = p.user_id',
    ],
    ['countries', "insert into countries (code, name) select code || 'x', name from countries"],
  ])('do in %s what they do on one database: %s', async (table, sql) => {
    const failed = await world.three
      .prepare(sql)
      .run()
      .then(
        () => undefined,
        (error: Error) => error,
      );
    if (failed) return expect(failed).toMatchObject({ code: 'UNSUPPORTED_STATEMENT' });
    await world.one.prepare(sql).run();
    await plain.prepare(sql).run();
    return expectSameContents(world, table);
  });
});

describe('writes of some rows', () => {
  beforeEach(async () => {
    world = await standardWorld();
  });

  it.each([
    ['posts', 'delete from posts order by title, id limit 1'],
    ['posts', "delete from posts where title > 'A' order by id desc limit 2 offset 1"],
    ['posts', 'delete from posts where id in (select max(id) from posts)'],
    [
      'posts',
      'delete from posts where id in (select id from posts order by title, id limit 2) returning id, title as t',
    ],
    ['posts', 'delete from posts where (id, title) in (select max(id), title from posts group by title)'],
    ['users', 'delete from users where age < 3 order by age, id limit 2'],
    ['users', "update users set name = 'x' where age < 4 order by age desc, id limit 3"],
    [
      'users',
      "update users set name = 'x', age = age + 1 where id in ('u1', 'u2', 'u3', 'u4') order by id desc limit 2",
    ],
    ['users', "update users set name = 'x' where id = 'u1' limit 1"],
    ['orders', 'update orders set total = total + 1 where total = (select min(total) from orders) returning id, total'],
    ['orders', "delete from orders where user_id = 'u1' order by id limit 1"],
  ])('hit the same rows of %s: %s', (table, sql) => expectSameWrite(world, table, sql));

  it('of one key hit only the rows that were found', async () => {
    const more =
      "insert into posts (id, user_id, title) values ('q1', 'u1', 'a'), ('q2', 'u1', 'b'), ('q3', 'u1', 'c')";
    await expectSameWrite(world, 'posts', more);
    await expectSameWrite(world, 'posts', "delete from posts where id in (select min(id) from posts where id > 'q')");
    await expectSameWrite(world, 'posts', "update posts set title = 'top' where id > 'q' order by id desc limit 1");
  });

  it.each([
    'delete from kv order by key limit 1',
    'update kv set x = 99 where x > 0 order by "key" desc limit 2',
    'update kv set x = 99 order by "row", id limit 3',
    'delete from kv order by incomplete desc limit 1',
    'delete from kv where key = (select max(key) from kv) returning key, row',
  ])('of a table whose columns have any name: %s', async (sql) => {
    const columns = 'id text primary key, key integer, "row" text, incomplete integer, x integer';
    const rows = Array.from(
      { length: 9 },
      (_, i) => `('k${i}', ${(i * 7) % 9}, '${(i * 5) % 9}', ${(i * 4) % 9}, ${i})`,
    );
    world = await makeWorld([`create table kv (${columns})`], [`insert into kv values ${rows.join(', ')}`]);
    await expectSameWrite(world, 'kv', sql);
  });

  it.each([
    ['comp', 'delete from comp where c = (select min(c) from comp)'],
    ['comp', "update comp set c = 'new' where b = (select max(b) from comp) returning a, b"],
    ['comp', 'delete from comp order by b desc, a limit 2'],
    ['blobs', 'delete from blobs where v >= (select max(v) - 1 from blobs)'],
    ['blobs', 'delete from blobs order by v limit 3'],
    ['blobs', 'update blobs set v = v * 10 where v < (select avg(v) from blobs) returning v'],
    ['longs', 'delete from longs where v = (select min(v) from longs)'],
  ])('of a table with an unusual primary key, %s: %s', async (table, sql) => {
    world = await makeWorld(
      [
        'create table comp (a text, b integer, c text, primary key (a, b)) without rowid',
        'create table blobs (id blob primary key, owner text, v integer)',
        'create table longs (id int primary key, v)',
      ],
      [
        "insert into comp values ('p', 1, 'x'), ('p', 2, 'y'), ('q', 1, 'z'), ('r', 1, 'x'), ('s', 5, 'w')",
        "insert into blobs values (x'01', 'p', 1), (x'0203', 'q', 2), ('text', 'r', 3), (5, 's', 4), (x'', 't', 5)",
        'insert into longs values (9007199254740993, 1), (9007199254740992, 2), (3, 3)',
      ],
      { comp: { key: 'a' }, blobs: { key: 'owner' } },
    );
    await expectSameWrite(world, table, sql);
  });

  it.each([
    ['users', 'delete from users where rowid = 1'],
    ['users', 'update users set age = 1 where rowid in (select rowid from users limit 1)'],
  ])('by rowid are refused in %s: %s', (table, sql) => expectRefused(world, 'UNSUPPORTED_STATEMENT', table, sql));
});
