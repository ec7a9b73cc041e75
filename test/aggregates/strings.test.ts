import { countDistinct, count as countOf, sql as sqlOf } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { type Counts, countedShards, rowsFetched } from '../support/counted-fetches';
import { InterceptedD1 } from '../support/intercepted-d1';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { plain, renewShards, shards } from '../support/shards';

const TABLES = [
  'create table notes (id integer primary key, author text not null, kind text collate nocase, body text, mixed, price real, big integer, tail text collate rtrim)',
  'create table authors (id text primary key, country text)',
];
const AUTHORS = 40;
const COUNTRIES = ['de', 'fr', 'at', 'empty', 'nulls'];

type Value = string | number | null | Uint8Array;
/** Values of every type; of `empty` there are only empty texts, of `nulls` only nulls. */
function bodyOf(i: number, country: string | undefined): Value {
  if (country === 'empty') return '';
  if (country === 'nulls') return null;
  return ['a,b', '', null, 'it\'s "so"', '[]{}', 'text', '\\', '✓ 😀', '1', 'ß\n'][i % 10] as Value;
}

const NOTES = Array.from({ length: 160 }, (_, i) => {
  const author = i % AUTHORS;
  const country = COUNTRIES[author % COUNTRIES.length];
  const mixed = [1.5, 'text', null, '1', 2, 'TEXT', 0.1 + 0.2, 1e20, '', new Uint8Array([0xff, 0xfe, i % 3])][i % 10];
  const kind = ['News', 'news', 'NEWS', 'Blog', 'blog', null][i % 6];
  const tail = ['x', 'x  ', 'y', 'y '][i % 4];
  return [i + 1, `a${author}`, kind, bodyOf(i, country), mixed as Value, (i % 9) / 7, (i % 5) + 0.5, tail];
});

async function fill(database: Pick<D1Database, 'prepare'>) {
  for (let i = 0; i < AUTHORS; i++) {
    await database
      .prepare('insert into authors values (?, ?)')
      .bind(`a${i}`, COUNTRIES[i % COUNTRIES.length])
      .run();
  }
  for (let at = 0; at < NOTES.length; at += 10) {
    const part = NOTES.slice(at, at + 10);
    // An integer cannot be bound: half of one can.
    const row = '(?, ?, ?, ?, ?, ?, cast(? * 9007199254740993 as integer), ?)';
    await database
      .prepare(`insert into notes values ${part.map(() => row).join(', ')}`)
      .bind(...part.flat())
      .run();
  }
}

/** What the shards have sent. */
let counts: Counts;

function open(count: number) {
  const counted = countedShards(count);
  counts = counted.counts;
  return shardedDrizzle({
    shards: counted.databases,
    tables: { notes: { key: 'author' }, authors: { key: 'id' } },
  });
}

const ask = (database: Pick<D1Database, 'prepare'>, sql: string, params: readonly unknown[] = []) =>
  database
    .prepare(sql)
    .bind(...params)
    .raw<unknown[]>();

type Question = readonly [sql: string, ...params: unknown[]];

/** Texts whose elements may come in any order: these give each element in an order of its own. */
const ELEMENTS: Record<string, (text: string) => unknown[]> = {
  comma: (text) => text.split(','),
  bar: (text) => text.split('|'),
  json: (text) => JSON.parse(text) as unknown[],
  letters: (text) => [...text],
  object: (text) =>
    text
      .slice(1, -1)
      .split(/,(?=")/)
      .filter((pair) => pair !== ''),
};

/** How to read each column; the others are compared as they are. */
const anyOrder = (rows: readonly unknown[][], columns: Readonly<Record<number, string>>) =>
  rows.map((row) =>
    row.map((value, i) => {
      const read = ELEMENTS[columns[i] ?? ''];
      return read && typeof value === 'string'
        ? {
            elements: read(value)
              .map((one) => JSON.stringify(one))
              .sort(),
            length: value.length,
          }
        : value;
    }),
  );

const TEXTS: readonly (readonly [columns: Readonly<Record<number, string>>, question: Question])[] = [
  [{ 1: 'comma' }, ['select id % 2, group_concat(id) from notes group by id % 2 order by 1']],
  [
    { 1: 'bar' },
    [
      "select a.country, group_concat(n.body, '|') from notes n join authors a on a.id = n.author group by 1 order by 1",
    ],
  ],
  [
    { 1: 'letters' },
    ["select a.country, group_concat(n.body, '') from notes n join authors a on a.id = n.author group by 1 order by 1"],
  ],
  [
    { 1: 'letters' },
    [
      'select a.country, group_concat(n.body, null) from notes n join authors a on a.id = n.author group by 1 order by 1',
    ],
  ],
  [
    { 1: 'bar' },
    [
      'select a.country, string_agg(n.body, ?) from notes n join authors a on a.id = n.author group by 1 order by 1',
      '|',
    ],
  ],
  [{ 1: 'comma', 2: 'comma' }, ['select id > 50, group_concat(price), group_concat(big) from notes group by 1']],
  [{ 0: 'letters' }, ["select hex(group_concat(mixed, char(10))) from notes where typeof(mixed) <> 'blob'"]],
  [{ 0: 'letters' }, ['select hex(group_concat(mixed, ?)), count(*) from notes', 7]],
  [{ 0: 'letters' }, ["select hex(group_concat(mixed, 'ab')) from notes"]],
  [{ 0: 'letters' }, ['select hex(group_concat(body, ?)) from notes', new Uint8Array([0xff])]],
  [
    {},
    [
      "select group_concat(id), string_agg(id, ';'), json_group_array(id), json_group_object(id, 1) from notes where id < 0",
    ],
  ],
  [{}, ['select group_concat(body), typeof(group_concat(body)) from notes where body is null']],
  [{}, ["select group_concat(body), count(*) from notes where body = '' and id < 3"]],
  [
    { 0: 'comma' },
    ['select group_concat(id) filter (where id > 20), group_concat(id) filter (where id < 0) from notes'],
  ],
  [{ 1: 'comma' }, ["select length(group_concat(id)) > 50, 'x' || group_concat(id) || ',y' from notes"]],
  [
    { 1: 'json' },
    ['select a.country, json_group_array(n.body) from notes n join authors a on a.id = n.author group by 1 order by 1'],
  ],
  [{ 0: 'json' }, ["select json_group_array(mixed) from notes where typeof(mixed) <> 'blob'"]],
  [{ 0: 'json', 1: 'json' }, ['select json_group_array(price), json_group_array(big) from notes']],
  [
    { 0: 'json' },
    ['select json_group_array(id) filter (where id % 2), json_group_array(id) filter (where id < 0) from notes'],
  ],
  [
    { 1: 'json' },
    ["select id % 3, json_group_array(json_object('id', id, 'body', body)) from notes group by id % 3 order by 1"],
  ],
  [
    { 0: 'json' },
    ["select json_group_array(json_array(id, json_object('b', body), null)) from notes where id > ?", 30],
  ],
  [
    {},
    [
      "select json_array_length(json_object('all', json_group_array(id)), '$.all'), json_type(json_array(json_group_array(id)), '$[0]') from notes",
    ],
  ],
  [
    {},
    [
      "select json_type(json_array(json_group_object(id, body)), '$[0]'), json_type(json_array(coalesce(json_group_array(id), 1)), '$[0]') from notes",
    ],
  ],
  [{ 0: 'object' }, ['select json_group_object(id, author) from notes']],
  [
    { 1: 'object' },
    ["select id % 3, json_group_object('k' || id, json_array(id)) from notes group by id % 3 order by 1"],
  ],
  [
    { 1: 'comma', 2: 'json' },
    [
      'select count(*), group_concat(id), json_group_array(id), sum(id), max(body) from notes group by id % 3 order by 1, 4',
    ],
  ],
  [
    { 0: 'comma', 1: 'comma' },
    ['select group_concat(distinct id % 5), group_concat(distinct id % 3 + 0.5), count(*) from notes'],
  ],
  [{ 0: 'json' }, ['select json_group_array(distinct body) from notes']],
  [
    { 1: 'json', 2: 'json' },
    [
      'select id % 2, json_group_array(distinct body), json_group_array(distinct price), count(distinct body), sum(id) from notes group by id % 2 order by 1',
    ],
  ],
  [
    { 0: 'json', 1: 'json' },
    ['select json_group_array(distinct big), json_group_array(distinct id % 3 + 0.0) from notes'],
  ],
  [
    { 0: 'json', 1: 'json' },
    ['select json_group_array(distinct body), json_group_array(distinct price) from notes where id < 0'],
  ],
  [{}, ["select hex(group_concat(distinct mixed)) from notes where typeof(mixed) = 'blob' and id = 10"]],
  [
    { 0: 'comma' },
    ["select lower(group_concat(distinct kind)), lower(json_group_array(distinct kind)) = '[null]' from notes"],
  ],
];

const EXACT: readonly Question[] = [
  [
    'select count(distinct id) filter (where id > 20), count(distinct id) filter (where id < ?), count(distinct id) from notes',
    9,
  ],
  [
    'select id % 10, max(mixed collate nocase) = ? from notes where id % 10 in (2, 6) group by id % 10 order by 1',
    'TEXT',
  ],
  ['select id / 7, lower(min(kind)), lower(max(kind)) from notes group by id / 7 order by 1'],
  ['select count(*) from notes group by body, mixed collate nocase having body = (mixed collate nocase)'],
  ['select count(distinct body), count(distinct mixed) from notes'],
  ['select count(distinct body), count(distinct mixed), count(*), sum(id), avg(id), max(body), min(price) from notes'],
  ['select tail, count(distinct body), sum(distinct id % 7), count(*) from notes group by tail order by tail, 2'],
  [
    'select a.country, count(distinct n.kind), count(distinct n.mixed), total(distinct n.id % 5) from notes n join authors a on a.id = n.author group by a.country order by 1',
  ],
  ['select count(distinct body), count(distinct mixed), sum(id) from notes where id < 0'],
  ['select count(distinct id % 2), count(distinct id % 3), count(distinct id % 5), count(distinct id % 7) from notes'],
  [
    'select count(distinct body) filter (where id > 20), count(distinct body) filter (where id < ?), count(distinct body) from notes',
    9,
  ],
  ['select count(distinct body) filter (where id > 20) from notes'],
  [
    'select id % 4 as g, count(distinct body) as b, count(distinct kind) as k from notes group by g having b > 2 and k > 1 order by b desc, g',
  ],
  ['select lower(kind), count(*) from notes group by kind order by kind'],
  ["select kind = 'NEWS', count(*) from notes group by kind order by kind desc"],
  [
    "select upper(kind) as k, count(distinct kind), count(distinct tail) from notes group by kind having kind > 'a' order by k",
  ],
  [
    'select count(distinct kind), lower(min(kind)), lower(max(kind)), count(distinct tail), rtrim(max(tail)) from notes',
  ],
  ['select count(*), rtrim(tail) from notes group by tail order by 2'],
  ['select body collate nocase as b, count(*) from notes group by body collate nocase having b <> 1 order by b'],
  ['select count(distinct body collate nocase), lower(max(body collate nocase)) from notes'],
  [
    'select strftime(?, id) as y, count(*) from notes group by strftime(?, id) order by strftime(?, id) limit 5',
    '%Y',
    '%Y',
    '%Y',
  ],
  [
    'select coalesce(body, ?), count(*) from notes group by coalesce(body, ?) having coalesce(body, ?) <> ? order by 1',
    'x',
    'x',
    'x',
    'y',
  ],
  ['select coalesce(body, ?1), count(*) from notes group by coalesce(body, ?1) order by coalesce(body, ?1)', 'none'],
];

/** What the order of the rows decides, or each row by itself. */
const ROWS: readonly Question[] = [
  ['select group_concat(id order by id desc) from notes'],
  ['select group_concat(id, substr(author, 1, 1)) from notes where id = 1'],
  ['select length(hex(jsonb_group_array(id))) > 0 from notes'],
  ['select json_group_array(distinct json_array(id % 2)) from notes where id = 1'],
  ['select json_group_array(distinct id % 1) filter (where id > 3) from notes'],
  ["select json_object('a', max(json_array(5))) from notes"],
  ["select json_group_array(id) as j from notes where id < 3 having json_array_length(json_object('a', j), '$.a') = 2"],
  ["select json_object('a', json_array(id % 2)), count(*) from notes group by json_array(id % 2) order by 1"],
  [
    'select count(distinct id % 2), count(distinct id % 3), count(distinct id % 4), count(distinct id % 5), count(distinct id % 6), count(*) from notes',
  ],
  ['select count(*) from notes group by lower(kind) order by 1'],
  ['select length(n.author) > 0, count(*) from notes n group by length(n.body) > 0 order by 2'],
];

/** Infinities of both signs in one shard, over which a sum is null although there are values. */
const INFINITE: readonly Question[] = [
  [
    'select sum(x), total(x), avg(x), count(x) from (select price, case id % 3 when 0 then 9e999 when 1 then -9e999 else price end as x from notes)',
  ],
  ['select sum(case id % 2 when 0 then 9e999 else -9e999 end), count(*) from notes'],
  [
    'select avg(case id % 2 when 0 then 9e999 else -9e999 end), total(case id % 2 when 0 then 9e999 else -9e999 end) from notes',
  ],
  ['select sum(case when id < 3 then (id * 2 - 3) * 9e999 else price end), id % 1 from notes group by id % 1'],
  [
    'select sum(case when id % 2 then 9e999 else -9e999 end) filter (where id % 2), sum(price) filter (where id < 0) from notes',
  ],
  ['select count(distinct kind), count(distinct body), total((id % 2 * 2 - 1) * 9e999), avg(price) > 0 from notes'],
];

/** The values of an expression that is repeated are not the same. */
const SPOILED: readonly Question[] = [
  ['select id % ? >= 0, count(*) from notes group by id % ? order by 2', 3, 4],
  ['select coalesce(mixed, ?) is null, count(*) from notes group by coalesce(mixed, ?) is null order by 1', 1, '1'],
];

describe.each([1, 2, 5])('on %i shards', (count) => {
  let db: ReturnType<typeof open>;

  beforeAll(async () => {
    await resetDatabases();
    renewShards();
    for (const database of [plain, ...Object.values(shards(count))]) await run(database, TABLES);
    db = open(count);
    for (const target of [plain, db.$client]) await fill(target);
  });

  const explain = async ([sql, ...params]: Question) => (await db.$explain({ sql, params })).text;

  it.each(TEXTS.map(([columns, question]) => [question[0], columns, question] as const))(
    '%s',
    async (_, columns, question) => {
      const [sql, ...params] = question;
      const expected = await ask(plain, sql, params);
      expect(anyOrder(await ask(db.$client, sql, params), columns)).toEqual(anyOrder(expected, columns));
      if (count > 1) expect(await explain(question)).toContain('fetch __shard_groups');
    },
  );

  it.each(EXACT.map((question) => [question[0], question] as const))('%s', async (_, question) => {
    const [sql, ...params] = question;
    expect(await ask(db.$client, sql, params)).toEqual(await ask(plain, sql, params));
    if (count > 1) expect(await explain(question)).toContain('fetch __shard_groups');
  });

  it.each(INFINITE.map((question) => [question[0], question] as const))('%s', async (_, [sql]) => {
    expect(await ask(db.$client, sql)).toEqual(await ask(plain, sql));
  });

  it.each([...ROWS, ...SPOILED].map((question) => [question[0], question] as const))(
    'is answered with the rows: %s',
    async (_, question) => {
      const [sql, ...params] = question;
      const [expected, got] = [await ask(plain, sql, params), await ask(db.$client, sql, params)];
      expect(got.length).toBe(expected.length);
      if (!sql.includes('jsonb')) expect(anyOrder(got, { 0: 'comma' })).toEqual(anyOrder(expected, { 0: 'comma' }));
      expect(await explain(question)).not.toContain('__shard_groups');
    },
  );

  it('join the values in the order of the shards, as each gives them', async () => {
    const own = await Promise.all(
      Object.values(shards(count)).map(
        async (shard) => (await ask(shard, 'select group_concat(id) from notes'))[0]?.[0],
      ),
    );
    const ordered = 'select group_concat(id), json_group_array(id), count(distinct id % 3) from notes';
    expect(await ask(db.$client, ordered)).toEqual([[own.join(','), `[${own.join(',')}]`, 3]]);
  });

  it('keep the spelling of one row of the group, and with max() that of its row', async () => {
    const spelled = await ask(
      db.$client,
      'select kind, upper(kind), length(tail), tail from notes group by kind, tail',
    );
    expect(spelled.length).toBe((await ask(plain, 'select 1 from notes group by kind, tail')).length);
    for (const [kind, upper, length, tail] of spelled) {
      const [found] = await ask(plain, 'select count(*) from notes where hex(kind) is hex(?) and hex(tail) = hex(?)', [
        kind,
        tail,
      ]);
      expect(found?.[0]).toBeGreaterThan(0);
      expect([upper, length]).toEqual([(kind as string | null)?.toUpperCase() ?? null, (tail as string).length]);
    }
    for (const sql of [
      'select kind, max(id) from notes group by kind order by kind',
      'select kind, count(*), min(id), group_concat(1) from notes group by kind order by kind',
      'select kind, count(distinct body), count(distinct price), max(id) from notes group by kind order by kind',
    ]) {
      expect(await ask(db.$client, sql)).toEqual(await ask(plain, sql));
    }
    const different = await ask(db.$client, 'select distinct kind from notes order by kind');
    expect(different.map(([kind]) => (kind as string | null)?.toLowerCase() ?? null)).toEqual([null, 'blog', 'news']);
  });

  it('send groups alone', async () => {
    if (count === 1) return;
    const sends = async (sql: string, ...params: unknown[]) => {
      counts.calls = [];
      await ask(db.$client, sql, params);
      return rowsFetched(counts);
    };
    expect(await sends('select group_concat(body), json_group_array(body), count(*) from notes')).toBe(count);
    expect(await sends('select id % 2, string_agg(body, ?) from notes group by id % 2', ';')).toBe(2 * count);
    // Seven, five, and one for the sum: not the pairs of the two.
    expect(
      await sends('select count(distinct id % 7), count(distinct id % 5), sum(id) from notes'),
    ).toBeLessThanOrEqual(13 * count);
    // As groups are made by the spelling that is compared.
    expect(await sends('select kind, count(*) from notes group by kind')).toBeLessThanOrEqual(3 * count);
    expect(await sends('select id % ?, count(*) from notes group by id % ?', 3, 3)).toBe(3 * count);
    // Other values: the rows.
    expect(await sends('select id % ?, count(*) from notes group by id % ?', 3, 4)).toBeGreaterThanOrEqual(
      NOTES.length,
    );
  });

  it('send the rows where texts of groups are too large', async () => {
    if (count === 1) return;
    const sql = "select json_group_array(json_object('the id of this note', id)) as ids from notes";
    let asked = 0;
    const refusing = Object.entries(shards(count)).map(([name, database]) => [
      name,
      new InterceptedD1(database, (call, run) => {
        if (!call.statements.some((one) => one.sql.includes('__shard_part_0'))) return run();
        asked++;
        throw new Error('D1_ERROR: string or blob too big: SQLITE_TOOBIG');
      }),
    ]);
    const tables = { notes: { key: 'author' }, authors: { key: 'id' } };
    const large = shardedDrizzle({ shards: Object.fromEntries(refusing) as Record<string, D1Database>, tables });
    // The keys make the texts of the groups longer than the rows.
    const small = shardedDrizzle({ shards: shards(count), tables, limits: { gatherBytes: 2_000 } });
    const expected = anyOrder(await ask(plain, sql), { 0: 'json' });
    for (const one of [large, small]) expect(anyOrder(await ask(one.$client, sql), { 0: 'json' })).toEqual(expected);
    expect(asked).toBeGreaterThan(0);
    await expect(
      ask(small.$client, "select group_concat(coalesce(body, '') || hex(price) || big || author) from notes"),
    ).rejects.toThrow('fetching notes');
  });

  it('are found where Drizzle writes an expression twice', async () => {
    const notes = sqliteTable('notes', { id: integer('id'), author: text('author'), body: text('body') });
    const rest = sqlOf<number>`${notes.id} % ${3}`;
    const length = sqlOf<number>`length(${notes.body})`;
    const queryOn = (one: ReturnType<typeof drizzle>) =>
      one
        .select({ rest, length, n: countOf(), authors: countDistinct(notes.author), bodies: countDistinct(notes.body) })
        .from(notes)
        .groupBy(rest, length)
        .orderBy(rest, length);
    // Drizzle 0.45 writes the table in GROUP BY alone; each parameter is another.
    expect(queryOn(drizzle(plain)).toSQL().sql).toMatch(/"id" % \?, .* group by .*"id" % \?/);
    const query = queryOn(db as unknown as ReturnType<typeof drizzle>);
    expect(await query).toEqual(await queryOn(drizzle(plain)));
    if (count > 1) expect((await db.$explain(query)).text).toContain('fetch __shard_groups');
  });
});
