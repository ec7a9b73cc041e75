import { describe, expect, it } from 'vitest';
import { KEY, loaded, on, rowsOn, valuesOn } from './cargo-fixture';

const INTEGERS = ['0', '1', '-1', '9007199254740993', '9223372036854775807', '-9223372036854775808'];
const REALS = [
  '0.1',
  '0.1 + 0.2',
  '1.0',
  '-0.0',
  '1e308',
  '1.7976931348623157e308',
  '5e-324',
  '2.2250738585072014e-308',
  '123456789012345680.0',
  '9e999',
  '-9e999',
];
const TEXTS = [
  `''`,
  `'1'`,
  `'1.0'`,
  `'9007199254740993'`,
  `'null'`,
  `'0x10'`,
  `'Infinity'`,
  `' spaces around  '`,
  `'it''s "quoted" \`so\`'`,
  `'[1, {"a": 2}]'`,
  `'back\\slash \\u0041 \\n'`,
  'char(0)',
  `'before' || char(0) || 'after'`,
  'char(1, 8, 9, 10, 12, 13, 31, 127, 133, 8232, 65279, 65534)',
  `'😀 𝒳 é ﷽'`,
  // What stands for text that is no UTF-8, written on purpose.
  'char(65533)',
];
const BLOBS = [`x''`, `x'00'`, `x'ff41'`, `cast('text' as blob)`, 'zeroblob(3)', 'randomblob(20000)'];
const VALUES = ['null', ...INTEGERS, ...REALS, ...TEXTS, ...BLOBS];

interface Case {
  readonly ddl: readonly string[];
  readonly table: string;
  /** The shard-key column. */
  readonly key: string;
  /** Rows of a key; `n` is not used by another one. */
  readonly insert: (key: string, n: number) => readonly string[];
}

const wide = (count: number): Case => {
  const columns = Array.from({ length: count - 2 }, (_, i) => `c${i}`);
  return {
    ddl: [`create table wide (n integer primary key, k text, ${columns.join(', ')})`],
    table: 'wide',
    key: 'k',
    insert: (key, n) =>
      [0, 1].map((row) => {
        const values = columns.map((_, i) => VALUES[(i + row * 7) % VALUES.length]);
        return `insert into wide values (${n + row}, '${key}', ${values.join(', ')})`;
      }),
  };
};

const CASES: Readonly<Record<string, Case>> = {
  'columns of every kind': {
    ddl: [
      `create table kinds (n integer primary key, k text, plain, i integer, r real, t text, b blob, num numeric,
        v varchar(10), flag boolean, at datetime, any any)`,
    ],
    table: 'kinds',
    key: 'k',
    insert: (key, n) =>
      VALUES.map((value, i) => `insert into kinds values (${n + i}, '${key}'${`, ${value}`.repeat(10)})`),
  },
  'a STRICT table': {
    ddl: ['create table strictly (n int primary key, k text, i integer, r real, t text, b blob, a any) strict'],
    table: 'strictly',
    key: 'k',
    insert: (key, n) =>
      VALUES.map((value, i) => {
        const of = (list: readonly string[]) => list[i] ?? 'null';
        return `insert into strictly values (${n + i}, '${key}', ${of(INTEGERS)}, ${of(REALS)}, ${of(TEXTS)}, ${of(BLOBS)}, ${value})`;
      }),
  },
  'a table WITHOUT ROWID with a composite primary key': {
    ddl: ['create table pairs (k text, b, x, primary key (k, b)) without rowid'],
    table: 'pairs',
    key: 'k',
    insert: (key) =>
      VALUES.filter((value) => value !== 'null' && !['1.0', '-0.0'].includes(value)).map(
        (value) => `insert into pairs values ('${key}', ${value}, ${value})`,
      ),
  },
  'generated columns': {
    ddl: [
      `create table made (a, twice generated always as (a || a) stored, k text, half as (a / 2) virtual, n integer primary key,
        up text as (upper(a)), z)`,
      'create index made_half on made (half)',
      'create unique index made_up on made (k, up, n)',
    ],
    table: 'made',
    key: 'k',
    insert: (key, n) =>
      VALUES.map((value, i) => `insert into made (a, k, n, z) values (${value}, '${key}', ${n + i}, ${value})`),
  },
  '40 columns': wide(40),
  '100 columns': wide(100),
  'names with quotes, spaces and keywords': {
    ddl: [
      `create table "it's ""odd"" [x]" ("the ""key""" text, "value", "key", "rowid", "select" integer primary key, "a  b\n\tc", "it's",
        "row", "at", "n", "lossy", "total", "running", "j", "s", "move", "$[0]", "_rowid_")`,
      `create index "an ""index""" on "it's ""odd"" [x]" ("the ""key""", "value")`,
    ],
    table: `it's "odd" [x]`,
    key: 'the "key"',
    insert: (key, n) =>
      VALUES.map(
        (value, i) =>
          `insert into "it's ""odd"" [x]" values ('${key}', ${value}, ${value}, ${value}, ${n + i}${`, ${value}`.repeat(13)})`,
      ),
  },
  'no primary key, and rows that are alike': {
    ddl: ['create table log (what, k text)'],
    table: 'log',
    key: 'k',
    insert: (key) => VALUES.flatMap((value) => Array(3).fill(`insert into log values (${value}, '${key}')`)),
  },
  AUTOINCREMENT: {
    ddl: ['create table counted (id integer primary key autoincrement, k text, x)'],
    table: 'counted',
    key: 'k',
    insert: (key, n) => VALUES.map((value, i) => `insert into counted values (${n + i}, '${key}', ${value})`),
  },
  'DEFAULT, CHECK, COLLATE and indexes of every kind': {
    ddl: [
      `create table rules (id integer primary key, k text not null, a text collate nocase default 'none', b default (random()),
        c integer not null default 5 check (c > 0), d text default current_timestamp, unique (k, a, id), check (a is null or a <> 'x'))`,
      'create index rules_part on rules (a) where b is not null',
      'create index rules_expression on rules (lower(a), c desc)',
      'create unique index rules_unique on rules (id, lower(a)) where c > 1',
    ],
    table: 'rules',
    key: 'k',
    insert: (key, n) =>
      VALUES.map(
        (value, i) => `insert into rules (id, k, a, b, d) values (${n + i}, '${key}', ${value}, ${value}, ${value})`,
      ),
  },
  // Their pages must follow the columns, and not what a page calls its own.
  'primary keys with the names that a page uses': {
    ddl: ['create table pages (k text, at, row, n, primary key (k, at, row, n)) without rowid'],
    table: 'pages',
    key: 'k',
    insert: (key) => [
      `with recursive c(i) as (select 1 union all select i + 1 from c where i < 6000)
        insert into pages select '${key}', i, i, -i from c`,
    ],
  },
  'row ids and primary keys beyond 2^53': {
    ddl: ['create table snowflakes (id integer primary key, k text, x)'],
    table: 'snowflakes',
    key: 'k',
    insert: (key, n) =>
      ['9007199254740993', '9223372036854700000'].flatMap((base) =>
        // Longer than half a page: each is read by itself.
        [0, 1, 2].map((i) => `insert into snowflakes values (${base} + ${n * 8 + i}, '${key}', hex(zeroblob(150000)))`),
      ),
  },
};

describe('the values of a row that is moved', () => {
  it.each(Object.entries(CASES))('are what they were: %s', async (_name, { ddl, table, key, insert }) => {
    const { db } = await loaded(ddl, { tables: { [table]: { key } } });
    await on('s0', ...insert(KEY, 1000), ...insert('stays', 2000));
    await on('s1', ...insert('was there', 3000));
    const quoted = `"${key.replaceAll('"', '""')}"`;
    const isMoved = `${quoted} = '${KEY}'`;
    const before = await valuesOn('s0', table, isMoved);
    const others = [
      await valuesOn('s0', table, `not ${isMoved}`),
      await valuesOn('s1', table),
      await valuesOn('s2', table),
    ];
    expect(before.length).toBeGreaterThan(1);
    for (const [from, to] of [
      ['s0', 's1'],
      ['s1', 's2'],
    ] as const) {
      const { rows } = await db.$cluster.reassign(KEY, to);
      expect(rows).toBe(before.length);
      expect(await valuesOn(to, table, isMoved)).toEqual(before);
      expect(await valuesOn(from, table, isMoved)).toEqual([]);
    }
    expect([
      await valuesOn('s0', table),
      await valuesOn('s1', table),
      await valuesOn('s2', table, `not ${isMoved}`),
    ]).toEqual(others);
    expect(await rowsOn('s1', 'pragma quick_check')).toEqual([['ok']]);
  });
});
