import { beforeAll, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { cities } from '../support/cities';
import { type Counts, countedShards, rowsFetched } from '../support/counted-fetches';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { plain, shards } from '../support/shards';

const TABLES = [
  'create table cities (id text primary key, name text not null, country text not null, population integer)',
  'create table visits (id text primary key, city_id text not null, stars real, note text, mixed)',
  'create table countries (code text primary key, continent text)',
];
const COUNT = 600;
/** What the shards have sent. */
let counts: Counts;
let db: ReturnType<typeof open>;

function open() {
  const counted = countedShards(3);
  counts = counted.counts;
  return shardedDrizzle({
    shards: counted.databases,
    tables: { visits: { key: 'city_id' }, countries: { replicated: true } },
  });
}

const rowsOf = async (database: Pick<D1Database, 'prepare'>, sql: string, params: readonly unknown[] = []) =>
  database
    .prepare(sql)
    .bind(...params)
    .raw();

beforeAll(async () => {
  await resetDatabases();
  for (const database of [plain, ...Object.values(shards(3))]) await run(database, TABLES);
  db = open();
  const some = cities(COUNT);
  const continents = ['EU', 'AS', 'AF', null];
  const codes = [...new Set(some.map(({ country }) => country))];
  const rows = {
    cities: some.map(({ id, name, country, population }, i) => [id, name, country, i % 11 === 0 ? null : population]),
    visits: some.flatMap(({ id }, i) =>
      Array.from({ length: i % 4 }, (_, n) => [
        `${id}-${n}`,
        id,
        (i % 7) * 0.1 + n,
        n === 2 ? null : `note ${i % 5}`,
        mixed(i + n),
      ]),
    ),
    countries: codes.map((code, i) => [code, continents[i % 4]]),
  };
  for (const target of [plain, db.$client]) {
    for (const [table, list] of Object.entries(rows)) {
      for (let at = 0; at < list.length; at += 18) {
        const part = list.slice(at, at + 18);
        const values = part.map((row) => `(${row.map(() => '?').join(', ')})`).join(', ');
        await target
          .prepare(`insert into ${table} values ${values}`)
          .bind(...part.flat())
          .run();
      }
    }
  }
  const moved = some.slice(0, 5).map(({ id }) => id);
  for (const id of moved) await db.$cluster.reassign(id, 's2');
});

/** Values of every type in one column. */
function mixed(i: number): unknown {
  return [1, 'text', null, 2.5, '1', 'TEXT', 0][i % 7];
}

const EXACT: readonly (string | readonly [sql: string, ...params: unknown[]])[] = [
  'select country, count(*) from cities group by country order by country',
  'select country, count(population), sum(population), min(name), max(name) from cities group by country order by 1',
  'select country as c, avg(population) as a from cities group by c having a > 1000000 order by a desc, c limit 7',
  'select count(*) + 1, sum(population) / count(*), round(avg(population), 2), total(population) from cities',
  "select sum(population), avg(population), min(population), max(population), total(population), count(population) from cities where country = 'none'",
  "select case when count(*) > 10 then 'many' else 'few' end as size, country from cities group by country order by size, country limit 20 offset 3",
  'select length(name) as l, count(*) as n from cities group by length(name) order by n desc, l limit 10',
  'select substr(name, 1, 1), population > 1000000 as big, count(*) from cities group by 1, 2 order by 3 desc, 1, 2 limit 12',
  'select count(distinct country) from cities',
  'select count(distinct country), min(country), max(country) from cities where population > 2000000',
  'select country, count(distinct length(name)) as n from cities group by country order by n desc, country',
  'select sum(distinct population), avg(distinct population), count(distinct population) from cities',
  'select count(distinct country), count(*), sum(population), avg(population), max(name) from cities',
  'select country, count(distinct length(name)), count(*), avg(population), min(distinct name) from cities group by country order by 2 desc, 1',
  'select count(distinct note), count(*), sum(stars) > 0 from visits',
  'select count(distinct country), count(*) from cities where population < 0',
  'select k.code, k.continent, count(*), sum(c.population) as p from cities c join countries k on k.code = c.country group by k.code order by p desc, k.code limit 9',
  "select k.code || '/' || coalesce(k.continent, '-') as x, max(c.name) from cities c join countries k on k.code = c.country group by k.code having k.continent is not null order by k.continent, x",
  'select v.id, v.note, v.mixed, count(*) from visits v group by v.id order by v.id limit 30',
  'select distinct country from cities order by country',
  'select distinct country, population > 5000000 from cities order by country desc, 2 limit 9',
  "select country, count(*) filter (where population > 3000000) as f, sum(population) filter (where name < 'M') from cities group by country order by f desc, country limit 15",
  'select c.country, count(v.id), max(v.stars) from cities c left join visits v on v.city_id = c.id group by c.country order by 2 desc, 1 limit 20',
  'select k.continent, count(*), sum(c.population) from cities c join countries k on k.code = c.country group by k.continent order by k.continent',
  'select k.continent from cities c join countries k on k.code = c.country group by k.continent having count(*) > 100 order by max(c.population)',
  'select note, count(*), count(stars) from visits group by note order by note nulls last',
  "select mixed, count(*) from visits where typeof(mixed) <> 'integer' and typeof(mixed) <> 'real' group by mixed order by mixed",
  'select typeof(mixed), count(*), sum(mixed), max(mixed), min(mixed) from visits group by typeof(mixed) order by 1',
  'select max(mixed), min(mixed), count(distinct note) from visits',
  'select cast(population / 1000000 as text) as m, count(*) from cities group by cast(population / 1000000 as text) having cast(population / 1000000 as text) > 5 order by m',
  [
    'select country, count(*) as n from cities where population > ? group by country having count(*) >= ? order by n desc, country limit ?',
    500000,
    3,
    5,
  ],
  ['select name in (?, ?, ?) as x, count(*) from cities group by x order by x', 'Paris', 'Tokyo', 'Lagos'],
  'select country, "count"(*) as "sum(population)" from cities group by "cities"."country" order by "sum(population)" desc, country limit 4',
  'select country c, max(population) country from cities group by c order by country desc limit 6',
  'select count(*), country, count(*) from cities group by country order by country limit 3',
  'select avg(stars) > 1 as good, count(*) from visits',
  'select abs(min(population) - max(population)), coalesce(sum(population), 0) from cities where population is null',
  'select min(country) || max(country) from cities group by length(country)',
];

describe('groups of three shards', () => {
  it.each(EXACT.map((one): readonly unknown[] => (typeof one === 'string' ? [one] : one)))(
    '%s',
    async (...one: unknown[]) => {
      const [sql, ...params] = one as [string, ...unknown[]];
      const expected = await rowsOf(plain, sql, params);
      const got = await rowsOf(db.$client, sql, params);
      expect(got).toEqual(expected);
      expect(
        await db.$client
          .prepare(sql)
          .bind(...params)
          .all(),
      ).toMatchObject({
        results: (
          await plain
            .prepare(sql)
            .bind(...params)
            .all()
        ).results,
      });
      const { text } = await db.$explain({ sql, params });
      expect(text).toMatch(/fetch __shard_groups|counts added up/);
    },
  );

  it('send their groups alone', async () => {
    const groups = (await rowsOf(plain, 'select distinct country from cities')).length;
    counts.calls = [];
    await rowsOf(db.$client, 'select country, avg(population) from cities group by country');
    expect(rowsFetched(counts)).toBeGreaterThan(groups - 1);
    expect(rowsFetched(counts)).toBeLessThanOrEqual(3 * groups);
    counts.calls = [];
    await rowsOf(db.$client, 'select avg(population), count(*) from cities');
    expect(rowsFetched(counts)).toBe(3);
  });
});

describe('what is not made of parts', () => {
  it.each<string>([
    'select k.continent, k.code, count(*) from cities c join countries k on k.code = c.country group by k.continent having count(*) < 0',
    'select country, name, max(population) from cities where population is not null group by country order by country',
    'select country, count(*) from cities group by country having (select count(*) from countries) > 0 order by country',
    'select sum(count(*)) over () from cities group by country limit 1',
    'with big as (select * from cities where population > 2000000) select country, count(*) from big group by country order by country',
  ])('is answered with the rows: %s', async (sql) => {
    expect(await rowsOf(db.$client, sql)).toEqual(await rowsOf(plain, sql));
    expect((await db.$explain({ sql })).text).not.toContain('__shard_groups');
  });
});

it('averages what is too large to be added up, and refuses its sum as SQLite does', async () => {
  const tables = ['create table sums (id integer primary key, n integer)'];
  for (const database of [plain, ...Object.values(shards(3))]) await run(database, tables);
  for (const target of [plain, db.$client]) {
    for (let id = 1; id <= 20; id++) {
      await target
        .prepare(`insert into sums (id, n) values (?, ${2n ** 62n})`)
        .bind(id)
        .run();
    }
  }
  // Otherwise this would show nothing.
  await expect(rowsOf(shards(3).s0 as D1Database, 'select sum(n) from sums')).rejects.toThrow('integer overflow');
  const sql = 'select avg(n), total(n), count(n), max(n) = min(n) from sums';
  expect(await rowsOf(db.$client, sql)).toEqual(await rowsOf(plain, sql));
  for (const database of [plain, db.$client]) {
    await expect(rowsOf(database, 'select sum(n) from sums')).rejects.toThrow('integer overflow');
  }
});
