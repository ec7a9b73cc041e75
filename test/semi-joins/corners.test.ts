import { beforeAll, describe, it } from 'vitest';
import { expectSame, makeWorld, type World } from '../traps/support';

let world: World;

const numbers = Array.from({ length: 40 }, (_, i) => i);
const insert = (table: string, row: (i: number) => readonly (string | number | null)[]): string => {
  const literal = (value: string | number | null) => (typeof value === 'string' ? `'${value}'` : String(value));
  return `insert into ${table} values ${numbers.map((i) => `(${row(i).map(literal).join(', ')})`).join(', ')}`;
};

beforeAll(async () => {
  world = await makeWorld(
    [
      'create table people (id text primary key, country text, boss text, born integer)',
      'create table posts (id integer primary key, author text, title text, mixed)',
      'create table points (id text primary key, "__x" text, x integer, r0 text, v0 real, owner text)',
      'create table tags (tags text primary key)',
      'create table pairs (a text primary key, b text)',
      'create table tagged (id text primary key, tags text, person text, "current_date" text)',
      'create table vals (id text primary key, t text, b blob, any_type)',
      'create table countries (code text primary key, continent text)',
    ],
    [
      insert('people', (i) => [`u${i}`, i % 7 ? (['JP', 'DE'][i % 2] ?? '') : null, `u${(i * 7) % 45}`, i]),
      insert('posts', (i) => [i + 1, i % 9 ? `u${(i * 11) % 44}` : null, `title ${i % 8}`, `u${i}`]),
      insert('points', (i) => [`p${i}`, 'y', (i * 13) % 41, `r${(i * 7) % 41}`, ((i * 11) % 41) / 2, `u${i % 10}`]),
      insert('tags', (i) => [`t${i}`]),
      insert('pairs', (i) => [`u${i}`, `t${i}`]),
      insert('tagged', (i) => [`g${i}`, `t${i * 2}`, `u${i}`, '2020-01-01']),
      "insert into vals values ('a', '1', 1, 1), ('b', '1.0', '1', 1.0), ('c', x'31', x'31', '1'), ('d', '', '', x'')",
      "insert into countries values ('JP', 'AS'), ('DE', 'EU')",
    ],
    { countries: { replicated: true } },
  );
});

const same = (sql: string) => expectSame(world, sql).then(() => undefined);
const written = "exists (select 1 from posts p where p.author = u.id and p.title = 'title 3')";

describe('what is behind EXISTS may turn it round', () => {
  it.each([' = 0', ' is false', ' is not true', ' < 1', ' + 0 = 0', ' = 1', ''])('%s', (after) =>
    same(`select id from people u where ${written}${after} order by id`),
  );

  it('also over a table of every shard', () =>
    same(
      "select u.id, p.id from people u join posts p on p.author = u.id where exists (select 1 from countries k where k.code = u.country and k.continent = 'AS') = 0 order by 1, 2",
    ));

  it('an aggregate in a subquery of its own makes a row of none', () =>
    same(
      "select id from people u where exists (select (select max(p.id)) from posts p where p.author = u.id and p.title = 'title 3') order by id",
    ));
});

describe('IN over VALUES has the values of all rows', () => {
  it.each([
    "select p.id, u.id from posts p join people u on u.id in (values (p.author), ('u1')) where p.title = 'title 3' order by 1, 2",
    "select p.id, (select count(*) from people u where u.id in (values (p.author), (p.mixed))) from posts p where p.title = 'title 3' order by 1",
  ])('%s', same);
});

describe('a column called like what is fetched besides is ordered by', () => {
  it.each(['p.x', 'x desc', '(p.x)', 'r0 collate nocase', 'p.v0 desc', '"__x", x'])('%s', async (term) => {
    await same(
      `select p.id, (select count(*) from people u where u.id = p.owner) from points p order by ${term} limit 5`,
    );
    await same(
      `select p.id, u.id from points p join people u on u.id = p.owner order by ${term}, p.id limit 4 offset 3`,
    );
  });
});

describe('names', () => {
  it.each([
    // 'strings' where names have to be
    "select u.id, p.id from people u join posts p on p.author = u.id where u.'country' = 'JP' and p.title > 'title 3' order by 1, 2",
    "select u.id, p.id from people 'u' join posts p on p.author = u.id where 'u'.country = 'JP' and p.title = 'title 3' order by 1, 2",
    "select people.id from people where exists (select 1 from people v where 'people'.country = 'JP' and v.boss = people.id) order by 1",
    // not the function
    "select t.id, u.id from tagged t join people u on u.id = t.person where t.current_date = '2020-01-01' order by 1, 2",
    // a table, not the column that is called so
    'select t.id, u.id from tagged t join people u on u.id = t.person where t.tags in tags order by 1, 2',
    'select t.id, u.id from tagged t join people u on u.id = t.person where (t.person, t.tags) in pairs order by 1, 2',
    // the column of the derived table, which is called so without its parentheses
    "select u.id, (select count(*) from posts p where exists (select 1 from (select (boss) from people) x where boss = p.author)) from people u where u.country = 'JP' order by 1",
    "select u.id, (select count(*) from posts p where exists (select 1 from (select boss collate binary from people) x where boss = p.author)) from people u where u.country = 'JP' order by 1",
  ])('%s', same);
});

describe('columns without a type are compared as they are', () => {
  it.each(['b', 'any_type'])('%s', async (column) => {
    await same(`select a.id, c.id from vals a join vals c on a.t = c.${column} order by 1, 2`);
    await same(`select a.id from vals a where a.${column} in (select t from vals) order by 1`);
    await same(
      `select ${column}, count(*) as n from vals group by ${column} having ${column} = '1' or n > 1 order by 2`,
    );
  });
});
