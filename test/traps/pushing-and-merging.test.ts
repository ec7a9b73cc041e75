import { beforeAll, describe, expect, it } from 'vitest';
import { plain } from '../support/shards';
import { bound, expectRefused, expectSame, failureOf, standardWorld, type World } from './support';

let world: World;

const same = (sql: string): Promise<void> => expectSame(world, sql).then(() => undefined);
const sameWith = (sql: string, params: readonly unknown[]): Promise<void> =>
  expectSame(world, sql, ...params).then(() => undefined);

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `u${i}`);

describe('reading', () => {
  beforeAll(async () => {
    world = await standardWorld();
  });

  it.each([
    'select age, id from users order by 1, 2',
    'select age, id from users order by 1 desc, 2 limit 4',
    'select age, id from users order by (1), ((2))',
    'select *, age + 1 from users order by 3, 1 limit 5',
    'select u.*, u.age as x from users u order by 4, 1',
    'select age as "the age", id from users order by "the age", id',
    'select upper(id) as id, age from users order by id desc',
    'select id as name, name as id from users order by name',
    'select -age as age, id from users order by age, id',
    'select age as a, id from users order by a + 0, -a, id',
    "select id from users order by case when id = 'u9' then 0 else 1 end, id",
    'select id, age from users order by age is null, age desc nulls first, id limit 6',
    'select id, nullif(age, 3) as a from users order by a desc nulls first, id limit 6',
    'select id, nullif(age, 3) as a from users order by a asc nulls last, id limit 4 offset 12',
    'select id from users order by +1, id desc limit 3',
    "select id from users order by 'id', id desc limit 3",
    'select id from users order by (select count(*) from posts p where p.user_id = users.id) desc, id limit 5',
  ])('order by positions, aliases and expressions: %s', same);

  it.each([
    'select id, name from users order by name, id',
    'select id, name from users order by name desc, id limit 5',
    'select id, name from users order by (name), id',
    'select id, name from users order by +name, id',
    'select id, name from users order by cast(name as text), id',
    'select id, name from users order by name collate binary, id',
    'select id, name from users order by name collate rtrim desc, id',
    'select id, name from users order by 2 collate binary, id',
    "select id, name from users order by name || '', id",
    'select id, name from users order by lower(name), id',
    "select id, name from users order by (name collate nocase) || '', id",
    'select id, name from users order by coalesce(name collate nocase, 1), id',
    'select id, title from posts order by title collate nocase, id limit 4',
    'select id, +title as t from posts order by t, id',
    'select n, id from (select id, name as n from users) order by n, id',
    'select n, id from (select id, +name as n from users) x order by n, id',
    'select n, id from (select id, (name) as n from users) x order by x.n, id',
    'select n, id from (select id, name collate binary as n from users) x order by n, id',
    'with q(i, n) as (select id, title collate nocase from posts) select n, i from q order by n, i',
    'with q(i, n) as (select id, substr(name, 1, 1) from users) select n, i from q order by n, i limit 5',
    'select distinct name from users order by name',
    'select name, count(*) from users group by name order by name',
    'select name, age, count(*) from users group by 1, 2 order by 1, 2',
    'select max(name), min(name), count(distinct name) from users',
    'select age, max(name), min(name) from users group by age order by age',
    'select id, max(name) from users group by id order by max(name), id',
    "select id from users where name = 'B0' order by id",
    "select id from users where name in ('B0', 'a1') and name < 'C' order by id",
    'select u.id, v.id from users u join users v on u.name = v.name and u.id < v.id order by 1, 2',
    'select u.id, p.id from posts p join users u on p.title || 0 = u.name order by 1, 2',
    'select u.id, p.id from posts p join users u on u.name = p.title || 0 order by 1, 2',
    'select name from users union select title from posts order by 1',
    'select title from posts union select name from users order by 1 desc',
    'select name from users except select upper(name) from users order by 1',
    'select id, row_number() over (order by name, id) from users order by id',
    'select id, rank() over (partition by name order by id) from users order by id',
    'select id, user_id, row_number() over (partition by user_id order by id) from posts order by id',
    'select * from (select id, user_id, row_number() over (partition by user_id order by id desc) as n from posts) where n <= 2 order by id limit 5',
    'select u.id, p.id, count(*) over (partition by u.id) from users u join posts p on p.user_id = u.id order by 1, 2',
    'select user_id, sum(count(*)) over (partition by user_id), sum(count(*)) over () from posts group by user_id order by 1',
    'select id, row_number() over w from posts window w as (partition by user_id order by id) order by id',
    'select id, row_number() over (w rows unbounded preceding) from posts window w as (order by id) order by id',
    'select id, rank() over (partition by lower(user_id) order by id) from posts order by id',
    'select id, lag(id) over (partition by title, user_id order by id rows between unbounded preceding and current row) from posts order by id limit 7 offset 2',
    'select u.id, x.n from users u join (select user_id, id, row_number() over (partition by user_id order by id) as n from posts) x on x.user_id = u.id where x.n = 1 order by 1',
    'select id from posts order by row_number() over (partition by user_id order by id), id limit 4',
    'select id, row_number() over (partition by (select 1) order by id) from posts order by id',
  ])('declared collations hold: %s', same);

  it.each([
    'select abs(max(age)) from users',
    'select coalesce(sum(age), 0) + count(*) from users where age > 100',
    "select 'n: ' || count(*) from users",
    'select max(age, 3), id from users order by id limit 3',
    'select max(age) - min(age) as spread from users',
    "select total(age) filter (where id <> 'u1') from users",
    'select "count"(*) from users',
    'select json_group_array(age) from (select age from users order by id)',
    'select group_concat(distinct age) from (select age from users order by age)',
    'select age, id, max(name) from users',
    'select (select max(u.age)) from users u',
    'select (select max(u.age) from tags) from users u',
    'select (select u.age + max(p.id) from posts p where p.user_id = u.id) from users u order by u.id',
    'select count(*) from users where 0',
    'select max(age) from users where id = null',
    "select count(*), sum(age) from users where id in ('u1', 'u2', 'none')",
    'select avg(age), avg(distinct age) from users',
    'select count(*) from (select distinct age from users)',
    'select age % 2 as odd, count(*) n from users group by odd having n > 1 order by odd',
    'select user_id, count(*) from posts group by user_id having count(*) > 0 order by 2 desc, 1 limit 3',
    'select lower(name) as id, count(*) from users group by id order by 1, 2',
    'select sum(n) from (select user_id, count(*) n from posts group by user_id)',
  ])('aggregates: %s', same);

  it.each([
    'select * from (select id, age from users order by age, id limit 5) x',
    'select * from (select id, age from users order by age, id limit 5 offset 2) x order by id',
    'select * from (select distinct age from users) x',
    'select * from (select age, count(*) n from users group by age) x where n > 3',
    'select n from (select count(*) n from users) x',
    'select * from (select id, row_number() over (order by age, id) rn from users) x where rn <= 3',
    'with q as (select distinct age from users) select * from q',
    'with q as (select id from users order by id limit 2) select q.id, c.code from q, countries c',
    'with q as (select id from users order by id limit 2) select p.id from q join posts p on p.user_id = q.id',
    'select x.user_id, u.age from users u join (select user_id, count(*) n from posts group by user_id) x on x.user_id = u.id order by 1',
    'select x.user_id, u.age from users u join (select user_id from posts order by id limit 3) x on x.user_id = u.id order by 1',
    "select * from (select id from users union all select user_id from posts) x where id = 'u1'",
    "select * from (select id, age from users where age > 1) x where x.id in ('u1', 'u3', 'u4') order by 1",
  ])('derived tables: %s', same);

  it.each([
    'select p.user_id, count(*) from users u left join posts p on p.user_id = u.id group by p.user_id',
    'select distinct p.user_id from users u left join posts p on p.user_id = u.id',
    'select u.id, count(p.id) from users u left join posts p on p.user_id = u.id group by u.id order by u.id',
    'select k, count(*) from (select p.user_id as k from users u left join posts p on p.user_id = u.id) group by k',
    "select u.id, p.id from users u left join posts p on p.user_id = u.id and p.user_id = 'u1' order by u.id, p.id",
    "select u.id, p.id from users u left join posts p on p.user_id = u.id and u.id = 'u1' order by u.id, p.id",
    "select u.id, p.id from users u left join posts p on p.user_id = u.id and u.age = 1 where u.id in ('u1', 'u6', 'u2') order by 1",
    'select u.id, o.id, p.id from users u join orders o on o.total = u.age left join posts p on p.user_id = u.id and u.id = o.user_id order by 1, 2, 3',
    'select u.id, o.id, p.id from users u left join orders o on o.user_id = u.id left join posts p on p.user_id = o.user_id order by 1, 2, 3',
    'select u.id, o.id, p.id from users u left join orders o on o.total = u.age left join posts p on p.user_id = o.user_id order by 1, 2, 3',
    'select c.code, u.id from countries c left join users u on u.age = length(c.name) order by 1, 2',
    'select c.code, x.id from countries c left join (select id from users where age = 3) x on 1 order by 1, 2',
    'select u.id, c.code from users u left join countries c on length(c.name) = u.age + 5 order by 1, 2',
    'select u.id, s.v from users u left join settings s on s.id = u.id order by 1',
    'select p.id, u.id from posts p right join users u on p.user_id = u.id order by u.id, p.id',
    'select p.id, u.id from posts p full join users u on p.user_id = u.id and u.age > 2 where u.id is null or p.id is null order by 1, 2',
    'select a.id, b.id from users a, users b where a.id = b.id and a.age > 3 order by 1',
    "select a.id, b.id from users a join users b on a.id = 'u1' and b.id = 'u2'",
  ])('joins: %s', same);

  it.each<[string, unknown[]]>([
    ['select age, id from users order by 1, 2 limit ? offset ?', [3, 2]],
    ['select age, id from users order by 1, 2 limit ?', ['3']],
    ['select age, id from users order by 1, 2 limit ? offset ?', [3, '2']],
    ['select age, id from users order by 1, 2 limit ?', [true]],
    ["select age, id from users order by 1, 2 limit '4'", []],
    ['select age, id from users order by 1, 2 limit 2, 3', []],
    ['select age, id from users order by 1, 2 limit ?1, ?1', [2]],
    ['select age, id from users order by 1, 2 limit -1 offset 12', []],
    ['select age, id from users order by 1, 2 limit ? offset ?', [-5, -1]],
    ['select age, id from users order by 1, 2 limit 0', []],
    ['select age, id from users order by 1, 2 limit 1 + 2 offset (select 1)', []],
    ['select age, id from users order by 1, 2 limit (select count(*) from tags)', []],
    ['select age, id from users order by 1, 2 limit 9223372036854775807', []],
    ['select age, id from users order by 1, 2 limit 9223372036854775807 offset 14', []],
    ['select age, id from users order by 1, 2 limit 5 offset 100', []],
  ])('limit and offset: %s %j', sameWith);

  it('a limit that is no number fails everywhere', async () => {
    for (const params of [
      [2.5, 0],
      ['x', 0],
      [2, null],
      [null, 0],
    ]) {
      const sql = 'select id from users order by id limit ? offset ?';
      for (const database of [plain, world.one, world.three]) await failureOf(bound(database, sql, params).all());
    }
  });

  it.each<[string, (marks: (count: number) => string) => string, unknown[]]>([
    ['in a list', (marks) => `order by case when id in (${marks(30)}) then 0 else 1 end, id`, ids(30)],
    [
      'in a CASE',
      () =>
        `order by case ${ids(20)
          .map(() => 'when id = ? then ?')
          .join(' ')} end, id`,
      ids(20).flatMap((id, i) => [id, i]),
    ],
    ['beside a list', (marks) => `where id in (${marks(97)}) order by age + ?, id limit ?`, [...ids(97), 3, 5]],
    [
      'beside many ORs',
      () =>
        `where ${ids(90)
          .map(() => 'id = ?')
          .join(' or ')} order by age, id`,
      ids(90),
    ],
  ])('many parameters %s of an ordered statement', (_where, write, params) =>
    sameWith(`select id from users ${write((count) => Array.from({ length: count }, () => '?').join(', '))}`, params),
  );

  it('pages without ORDER BY are stable and complete', async () => {
    const seen: unknown[] = [];
    for (let offset = 0; offset < 18; offset += 3) {
      const page = await world.three.prepare('select id from users limit 3 offset ?').bind(offset).raw<[string]>();
      seen.push(...page.map(([id]) => id));
    }
    expect(new Set(seen).size).toBe(16);
    expect(seen).toHaveLength(16);
  });

  it('rowid means nothing over several shards', () =>
    expectRefused(world, 'UNSUPPORTED_STATEMENT', 'users', 'select rowid from users'));
});
