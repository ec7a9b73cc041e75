import { beforeAll, describe, expect, it } from 'vitest';
import { type Counts, rowsFetched } from '../support/counted-fetches';
import { plain } from '../support/shards';
import { openWorld, type World } from './support';

let db: World['db'];
let counts: Counts;

beforeAll(async () => {
  ({ db, counts } = await openWorld(3));
});

const ALL = { people: 300, posts: 900, comments: 1800, likes: 900 } as const;

/** At most so many rows are fetched: of the shards' own rows, and with them those that are named by what was fetched before. */
const CASES: readonly (readonly [sql: string, most: number, ...params: unknown[]])[] = [
  // The confined side first, then the rows of the other that it names.
  [
    "select p.id, p.title, u.name from posts p join people u on u.id = p.author where u.country = 'JP' order by p.id",
    40,
  ],
  ["select p.id, u.name from people u join posts p on p.author = u.id where p.title = 'title 3' order by p.id", 60],
  [
    'select p.id, u.name from people u, posts p where p.author = u.id and p.title in (?, ?) order by 1',
    110,
    'title 4',
    'title 5',
  ],
  [
    "select p.id, c.id, u.name from people u join posts p on p.author = u.id join comments c on c.post = p.id where u.country = 'BR' order by 1, 2",
    90,
  ],
  [
    "select c.id, u.name, p.title from comments c left join posts p on p.id = c.post left join people u on u.id = c.author where c.body = 'b3' and c.id < 'c2' order by c.id",
    350,
  ],
  ["select u.id, b.name from people u left join people b on b.id = u.boss where u.country = 'ID' order by u.id", 40],
  [
    'select u.id, b.name, bb.name from people u join people b on b.id = u.boss join people bb on bb.id = b.boss where u.born < 10 order by 1',
    40,
  ],
  // The rows of the same keys are looked up where they are.
  [
    "select u.id, l.post, p.title from people u join likes l on l.person = u.id join posts p on p.id = l.post where u.country = 'JP' order by 1, 2",
    9 * 7,
  ],
  [
    'select u.id, p.id from people u join likes l on l.person = u.id join likes m on m.person = u.id and m.post > l.post join posts p on p.id = m.post where u.born between 10 and 20 and l.post < 500 order by 1, 2',
    11 * 9,
  ],
  // Pages: the first rows of all shards, and no more of the others than these name.
  [
    'select u.id, u.name, (select count(*) from posts p where p.author = u.id) as n from people u order by u.born desc limit 5',
    15 + 30,
  ],
  [
    'select u.id, p.id from people u left join posts p on p.author = u.id order by u.born, p.id limit 7 offset 2',
    ALL.people + ALL.posts,
  ],
  ['select u.id, p.id from people u left join posts p on p.author = u.id order by u.born limit 3', 9 + 12],
  [
    'select x.id, c.body from (select id from posts order by stars desc, id limit 10) x join comments c on c.post = x.id order by x.id, c.id',
    30 + 40,
  ],
  [
    'with x as (select id, author from posts where stars > 1 order by id limit ? offset ?) select x.id, u.name from x join people u on u.id = x.author order by x.id',
    60 + 12,
    4,
    8,
  ],
  // With an inner join they are enough if they fill the page, and else everything is fetched.
  ['select c.id, p.title from comments c join posts p on p.id = c.post order by c.id limit 10', 30 + 10],
  [
    'select c.id, p.title, u.name from comments c join posts p on p.id = c.post join people u on u.id = p.author order by c.id limit 10 offset 5',
    45 + 15 + 15,
  ],
  [
    'select c.id, p.title from comments c join posts p on p.id = c.post where c.body = ? order by c.id limit 40',
    9999,
    'b6',
  ],
  [
    "select c.id, p.title from comments c join posts p on p.id = c.post where c.post > 880 and c.body > 'b3' order by c.id limit 20",
    9999,
  ],
  ['select c.id, p.title from comments c, posts p where p.id = c.post and p.stars < 0 order by c.id limit 5', 9999],
  [
    'select c.id, p.id from comments c join posts p on p.id = c.post join likes l on l.post = p.id order by c.id limit 6',
    18 + 6 + 12,
  ],
  // Whichever of the tables it is that they are ordered by.
  [
    'select u.name, p.id from people u join posts p on p.author = u.id order by p.stars desc, p.id limit 8 offset 2',
    30 + 10,
  ],
  [
    'select u.name, p.id, c.id from people u left join likes l on l.person = u.id join posts p on p.author = u.id left join comments c on c.post = p.id order by p.id desc, l.post, c.id limit 4',
    ALL.people + ALL.posts + ALL.likes + ALL.comments,
  ],
  [
    'select u.name, p.id, c.id from people u join posts p on p.author = u.id left join comments c on c.post = p.id order by p.id desc limit 1',
    3 + 1 + 4,
  ],
  [
    'select u.id, p.id from people u left join posts p on p.author = u.id order by p.id desc limit 3',
    ALL.people + ALL.posts,
  ],
  // IN and EXISTS, either way round.
  ["select count(*), min(name) from people where id in (select author from posts where title = 'title 7')", 23 * 2],
  ["select id from posts where author in (select id from people where country = 'DE') order by id", 60],
  [
    "select id from people u where exists (select 1 from posts p where p.author = u.id and p.title = 'title 9') order by id",
    23 * 2,
  ],
  [
    "select id from people u where country = 'JP' and not exists (select 1 from posts p where p.author = u.id) order by id",
    60,
  ],
  ["select id from people u where country = 'JP' and id in (select author from posts) order by id", 60],
  [
    "select id from people where country = 'US' and id not in (select author from posts where stars > 2) order by id",
    ALL.people + ALL.posts,
  ],
  // On every shard: no row of it is fetched.
  [
    "select u.id, p.id from people u join countries k on k.code = u.country join posts p on p.author = u.id where k.continent = 'AF' and k.code > 'T' order by 1, 2",
    40,
  ],
  // A key that is on one shard, and what its row names.
  ['select l.post, p.title from likes l join posts p on p.id = l.post where l.person = ? order by 1', 3 * 2, '1'],
  // Nothing is confined: everything is fetched, once.
  ['select count(*) from people u join posts p on p.author = u.id', ALL.people + ALL.posts],
  ['select count(*) from people u join people b on b.id = u.boss', ALL.people],
  ["select count(*) from people u join people b on b.id = u.boss where u.country = 'CN'", 100],
  // What may not be cut or asked by values.
  [
    "select id from people u where exists (select 1 from posts p where p.author = u.id and p.title = 'title 9') or u.born = 8 order by id",
    ALL.people + 23,
  ],
  [
    "select id from people u where exists (select 1 from posts p where p.author = u.id and p.title = 'title 9') = 0 and u.born < 30 order by id",
    60,
  ],
  [
    "select id from people u where (id in (select author from posts where title = 'title 9')) = 0 or u.born = 8 order by id",
    ALL.people + 23,
  ],
  [
    'select id, (select count(*) from likes where person = id) as n from (select id from people where born < 5) full join (select author as id from posts where id < 9) using (id) order by 1',
    ALL.people + ALL.posts,
  ],
  [
    'select u.country, count(*) from people u join posts p on p.author = u.id group by u.country order by 2 desc, 1 limit 3',
    ALL.people + ALL.posts,
  ],
  [
    'select distinct u.country from people u left join posts p on p.author = u.id order by u.country limit 3',
    ALL.people + ALL.posts,
  ],
  [
    "select u.id, p.id from people u right join posts p on p.author = u.id and u.country = 'CA' where p.stars = 2.25 order by p.id",
    ALL.people + ALL.posts,
  ],
  [
    'select u.id, p.id from people u full join posts p on p.author = u.id and p.stars = 1 order by 2, 1 limit 20',
    ALL.people + ALL.posts,
  ],
  ['select u.id from people u join posts p on p.mixed = u.id order by 1', ALL.people + ALL.posts],
  [
    'select p.id, q.id from posts p join posts q on q.mixed = p.mixed and q.id > p.id where p.id < 6 and q.id < 30 order by 1, 2',
    60,
  ],
  [
    "select u.name, v.id from people u join people v on v.name = upper(u.name) where u.country = 'US' order by 1, 2",
    350,
  ],
  ["select u.id, v.id from people u join people v on v.name = u.name where u.country = 'US' order by 1, 2", 90],
  [
    'select max(n) from (select author, count(*) as n from posts group by author) x join people u on u.id = x.author where u.born < 50',
    ALL.people + ALL.posts,
  ],
  [
    'with recursive up(id, boss, n) as (select id, boss, 0 from people where born = 5 union all select p.id, p.boss, n + 1 from people p join up on p.id = up.boss where n < 4) select * from up order by n, id',
    ALL.people,
  ],
  ["select id from people where born < 20 union select author from posts where title = 'title 1' order by 1", 90],
  [
    'select u.id, (select p.title from posts p where p.author = u.id order by p.stars desc, p.id limit 1) as best from people u where u.country = ? order by u.id',
    60,
    'BR',
  ],
];

describe('a join over shards', () => {
  it.each(CASES.map(([sql, most, ...params]) => ({ sql, most, params })))('$sql', async ({ sql, most, params }) => {
    counts.calls = [];
    const expected = await plain
      .prepare(sql)
      .bind(...params)
      .raw();
    const actual = await db.$client
      .prepare(sql)
      .bind(...params)
      .raw();
    expect(actual).toEqual(expected);
    expect(rowsFetched(counts)).toBeLessThanOrEqual(most);
  });
});
