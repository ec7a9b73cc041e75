import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { shardedD1 } from '../../src';
import { plain } from '../support/shards';
import {
  expectRefused,
  expectSame,
  expectSameContents,
  expectSameWrite,
  failureOf,
  makeWorld,
  migrate,
  oneShard,
  standardWorld,
  threeShards,
  type World,
} from './support';

let world: World;

describe('reading', () => {
  beforeAll(async () => {
    world = await standardWorld();
  });

  it.each([
    `select "ID", "Users"."NAME" from "USERS" where "uSeRs"."Id" = 'u1'`,
    "select [id], `name`, \"age\" from [users] where [users].`id` in ('u1', 'u2')",
    'select U.id from users U, POSTS as p where P.User_Id = u.ID order by p.id',
    'select u.id mine, u.age "Age", upper(u.name) \'shout\' from users u order by u.id limit 3',
    "select id from users 'u' where u.id = 'u3'",
    'select "users".* from "users" order by 1',
    "select main.users.id, users.name from main.users where main.users.id = 'u1'",
    'select main.users.id from main.users order by main.users.id desc limit 2',
    'select id from users not indexed order by id',
    'select count(*) c from users where name not null',
    'select id from users where name notnull and age is not distinct from 3 order by id',
  ])('case, quotes and aliases: %s', (sql) => expectSame(world, sql).then(() => undefined));

  it.each([
    "select id -- id, 'x\n, age /* , name ' */ from users -- where id = 'u1'\n where age = 1 -- ;\n order by id -- the end",
    "/* select */ select id from users where id = 'u1' /* and 0 */ or /* ; */ id = 'u2' order by id /* unclosed",
    "select id from users where name <> '-- no comment' and name <> '/*' order by id limit 3 -- ?",
    'select id from users where age = 1;',
    ' \n\t select id from users where age = 1 ; \n',
  ])('comments and separators: %j', (sql) => expectSame(world, sql).then(() => undefined));

  it.each<[string, unknown[]]>([
    ['select id from users where age = ?1 and ?2 <> id and ?1 > 0 order by id', [1, 'u1']],
    ['select id from users where id = ?2 or id = ?1 order by id', ['u1', 'u2']],
    ['select id, ?2 as two from users where age > ?1 order by id limit ?3 offset ?1', [1, 'x', 3]],
    ['select id from users where id = ?3 and age >= ? and age <> ?', ['', '', 'u4', 0, 9]],
    ['select u.id from users u, tags t where u.age = ?2 and t.id <> ?1 and length(t.id) = u.age order by 1', ['u1', 2]],
  ])('numbered parameters: %s', (sql, params) => expectSame(world, sql, ...params).then(() => undefined));

  it.each([
    'select id from users where id in tags order by id',
    'select id from users where id in "TAGS" order by id',
    'select id from users where id in main.tags order by id',
    'select id from users where id not in main.tags order by id',
    'select count(*) from posts where user_id in tags',
    'with q as (select max(user_id) from posts) select id from users where id in q',
    "with q(id) as (select user_id from posts where title = 'x') select id from users where id in q order by id",
    'with q as (select id from tags) select id from users where age in (select 1) and id in q order by id',
  ])('in tablename: %s', (sql) => expectSame(world, sql).then(() => undefined));

  it.each([
    'select u.id, t.id from users u join tags t order by u.id, t.id limit 5',
    'select u.id, t.id from users u cross join tags t order by u.id desc, t.id limit 5',
    'select * from users natural join (select id, age from users) order by id',
    'select id, t.id from users left join tags t using (id) order by users.id',
    'select id, age from tags full join users using (id) order by id',
    'select count(*) from tags right outer join users on tags.id = users.id',
    "select u.id from users u join (tags t join countries c on 1) on u.id = t.id and exists (select 1 from posts p where p.title = 'x' and p.user_id <> u.id) order by 1",
    'select u.id, v.id from (users u join tags t on t.id = u.id) join users v on v.age = u.age order by 1, 2',
    'values (1), ((select count(*) from users))',
    "values ('a'), ((select max(id) from users)), ((select count(*) from posts))",
    'select * from (values (1, (select count(*) from users)), (2, (select count(*) from posts)))',
    "select id from users where id in (values ('u1'), ('u2')) order by id",
    'select value from json_each((select json_group_array(id) from users)) order by 1',
    'select u.id, j.value from users u, json_each(json_array(u.age, u.name)) j order by u.id, j.key',
    "select u.id from users u join json_each('[1,3]') j on j.value = u.age order by u.id",
    "select j.value, u.id from json_each('[1,77]') j left join users u on u.age = j.value order by 1, 2",
    "select name from pragma_table_info('users')",
    "select name from sqlite_master where type = 'table' and name = 'users'",
  ])('words that look like tables and clauses: %s', (sql) => expectSame(world, sql).then(() => undefined));

  it.each([
    'select id from users where exists (select 1 from posts z where z.user_id = id) order by id',
    'select id from users u where (select count(*) from posts where user_id = id) > 0 order by id',
    'select id from users u where (select count(*) from posts where user_id = u.id) > 0 order by id',
    'select id, (select max(age) from users where id = users.id) from users order by id',
    'select id from users where exists (select 1 from orders where user_id = users.id and total > age) order by id',
    'select id from users u where exists (select 1 from posts p where exists (select 1 from orders o where o.user_id = p.user_id and p.user_id = u.id)) order by id',
    'select id from users u where exists (select 1 from posts p where exists (select 1 from orders o where o.user_id = u.id and o.id > p.id)) order by id',
  ])('names belong to the innermost query that has them: %s', (sql) => expectSame(world, sql).then(() => undefined));

  it.each([
    'with users as (select id from main.posts) select count(*) from users',
    "with posts as (select 'u1' as user_id) select id from users where id in (select user_id from posts)",
    "with a as (select id from users), b as (select id from a where id > 'u3') select count(*) from a, b where a.id = b.id",
    'with q as (select age, count(*) n from users group by age) select x.age, y.n from q x join q y on x.age = y.age order by 1',
    'with unused as (select * from nosuchtable) select id from users order by id limit 2',
  ])('CTEs hide tables, but not main.tables: %s', (sql) => expectSame(world, sql).then(() => undefined));

  it.each([
    "with users(id) as (values ('a'), ('b')) select (select count(*) from users), (select count(*) from main.users)",
    'with users as (select id, age from main.users where age > 1) select count(*), max(age) from users',
    'with posts as (select id from users) select count(*), (select count(*) from main.posts) from posts',
    "select main.users.name, t.id from users join tags t on t.id <> users.id where t.id = 'u1' order by main.users.id",
  ])('gathers or refuses by name: %s', async (sql) => {
    const { code } = await world.three
      .prepare(sql)
      .all()
      .then(() => ({ code: 'none' }), asCoded);
    if (code === 'none') await expectSame(world, sql);
    else expect(code).toBe('UNSUPPORTED_STATEMENT');
  });

  it.each([
    'with recursive n(i) as (select 1 union all select i + 1 from n where i < 4) select u.id, i from n join users u on u.age = i order by u.id',
    "with recursive c(id, d) as (select id, 0 from users where id = 'u1' union all select u.id, d + 1 from users u join c on u.age = d where d < 3) select id, d from c order by d, id",
    "with recursive c(id, d) as (select user_id, 0 from posts where id = 'p1' union all select u.id, d + 1 from c join users u on u.id = c.id where d < 2) select id, d from c order by d, id",
    "with recursive c(id) as (values ('u1') union select 'u' || (substr(c.id, 2) + 3) from c join users u on u.id = c.id) select id from c order by id",
  ])('recursive CTEs over sharded tables: %s', (sql) => expectSame(world, sql).then(() => undefined));
});

describe('writing', () => {
  beforeEach(async () => {
    world = await makeWorld(
      [
        'create table "order" ("select" text primary key, "from" integer, "where`x" text)',
        'create table tags (id text primary key)',
      ],
      [
        `insert into "order" values ('a', 1, 'p'), ('b', 2, 'q'), ('c', 3, null), ('d', 4, null)`,
        "insert into tags values ('a'), ('c'), ('d')",
      ],
      { order: { key: 'select' } },
    );
  });

  it.each([
    `update or ignore "order" set "from" = 7 where "select" = 'a'`,
    'update [ORDER] set "where`x" = \'n\' where [from] > 1',
    "insert or replace into `order` values ('a', 8, 'x'), ('z', 9, 'x')",
    `insert or ignore into main."order" ("from", "select") values (5, 'a'), (6, 'y') returning "select"`,
    `replace into "order" ("select") values ('a'), ('b'), ('y')`,
    `delete from main."order" where "order"."select" in ('a', 'b')`,
    `delete from "order" as o where o."from" between 2 and 3 and o."select" <> 'b'`,
    `delete from "order" where "select" in main.tags`,
    'with q as (select max(id) from tags) delete from "order" where "select" in q',
    `with "order" as (select 'a' as x) delete from main."order" where "select" in (select x from "order")`,
    'delete from "order" /* where "from" = 1 */ where "from" = 2 -- or 1',
    `insert into "order" ("select", "from") values ('k', 1) /* , ('l', 2) */, ('m', 2) -- , ('n', 3)`,
    `update "order" set "from" = ("from" + 1) * 2, "where\`x" = case when "from" > 2 then 'big' end where "select" <> 'b'`,
  ])('odd names: %s', (sql) => expectSameWrite(world, 'order', sql));
});

describe('tables outside the schema', () => {
  beforeAll(async () => {
    world = await standardWorld();
    await migrate(
      'create view adults as select * from users where age > 2',
      'create table nokey (a, b)',
      'create table twokeys (a text, b text, primary key (a, b))',
      'create table folded (id text primary key collate nocase)',
    );
  });

  it.each<[string, string]>([
    ['select * from adults', 'UNSUPPORTED_STATEMENT'],
    ['select * from users join adults using (id)', 'UNSUPPORTED_STATEMENT'],
    ['select * from nosuch', 'UNKNOWN_TABLE'],
    ["insert into nosuch values ('a')", 'UNKNOWN_TABLE'],
    ['delete from users where id in (select id from nosuch)', 'UNKNOWN_TABLE'],
    ['select * from nokey', 'CONFIG'],
    ["insert into twokeys values ('a', 'b')", 'CONFIG'],
    ['select * from folded', 'CONFIG'],
    ['select * from other.users', 'UNSUPPORTED_STATEMENT'],
  ])('%s is refused with %s', async (sql, code) => {
    await expectRefused(world, code, 'users', sql);
    expect((await failureOf(world.one.prepare(sql).run())).code).toBe(code);
  });

  it('are found once their migration has run', async () => {
    await expectRefused(world, 'UNKNOWN_TABLE', 'users', 'select * from late');
    await migrate('create table late (id text primary key)');
    await expectSameWrite(world, 'late', "insert into late values ('a'), ('b'), ('c') returning id");
    await expectSame(world, 'select id from late order by id');
  });

  it('have the key that the rules name', async () => {
    const tables = { twokeys: { key: 'A' }, nokey: { key: 'b' } };
    const three = shardedD1({ shards: threeShards, tables });
    await plain.prepare("insert into twokeys values ('a', 'b'), ('c', 'd')").run();
    await shardedD1({ shards: oneShard, tables }).prepare("insert into twokeys values ('a', 'b'), ('c', 'd')").run();
    await three.prepare("insert into twokeys values ('a', 'b'), ('c', 'd')").run();
    await expectSameContents({ ...world, rules: { twokeys: { key: 'a' } } }, 'twokeys');
    expect((await failureOf(three.prepare('select * from nokey').all())).message).toContain('nokey');
  });
});

const asCoded = (error: Error & { code?: string }): { code: string } => ({ code: error.code ?? error.message });
