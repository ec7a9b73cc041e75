import { blob, customType, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { shardedDrizzle } from '../../src';
import { InterceptedD1 } from '../support/intercepted-d1';
import type { Random } from '../support/random';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { MAX_SHARDS, plain, shards } from '../support/shards';

/** Text that is compared without case. */
const nocase = customType<{ data: string; driverData: string }>({ dataType: () => 'text collate nocase' });
/** A column without a type, which takes values of any. */
const any = customType<{ data: unknown; driverData: unknown }>({ dataType: () => 'blob' });

export const things = sqliteTable('things', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  label: nocase('label'),
  big: integer('big'),
  ratio: real('ratio'),
  bytes: blob('bytes', { mode: 'buffer' }),
  mixed: any('mixed'),
  madeAt: integer('made_at', { mode: 'timestamp' }),
});
export const parts = sqliteTable('parts', {
  id: integer('id').primaryKey(),
  thingId: text('thing_id').notNull(),
  kind: text('kind').notNull(),
  size: integer('size'),
});
export const kinds = sqliteTable('kinds', { code: text('code').primaryKey(), title: text('title').notNull() });
export const loose = sqliteTable('loose', { thingId: text('thing_id').notNull(), note: text('note') });
export const schema = { things, parts, kinds, loose };
export const tables = {
  parts: { key: 'thingId' },
  kinds: { replicated: true },
  loose: { key: 'thingId' },
} as const;

const DDL = [
  'create table things (id text primary key, name text not null, label text collate nocase, big integer, ratio real, bytes blob, mixed, made_at integer)',
  'create index things_name on things (name, id)',
  'create table parts (id integer primary key, thing_id text not null, kind text not null, size integer)',
  'create index parts_thing on parts (thing_id)',
  'create table kinds (code text primary key, title text not null)',
  'create table loose (thing_id text not null, note text)',
];
const KINDS = ['bolt', 'nut', 'pin'];

/** How many rows of the user's statements each fetch has given, in order. */
export class Fetched {
  readonly counts: { shard: string; rows: number; sql: string }[] = [];
  databases(count: number): Record<string, D1Database> {
    const list = Object.entries(shards(count)).map(([shard, database]) => [
      shard,
      new InterceptedD1(database, async (call, ask) => {
        const answer = await ask();
        const results = Array.isArray(answer) ? (answer as D1Result[]) : [];
        for (const [i, { sql }] of call.statements.entries()) {
          if (sql.includes('__shard_position')) this.counts.push({ shard, sql, rows: results[i]?.results.length ?? 0 });
        }
        return answer;
      }),
    ]);
    return Object.fromEntries(list) as Record<string, D1Database>;
  }
}

export const open = (count: number, fetched = new Fetched()) =>
  shardedDrizzle({ schema, tables, shards: fetched.databases(count) });
export type Database = ReturnType<typeof open>;

/** Empty tables, on the plain database too. */
export async function makeTables(): Promise<void> {
  await resetDatabases();
  await runEverywhere(shards(MAX_SHARDS), DDL);
}

/** A value as SQL, so that it comes to SQLite as it is: a number that is bound would be a REAL. */
type Literal = string;
const quote = (value: string): Literal => `'${value.replaceAll("'", "''")}'`;

/** Few different values, so that there are ties; also those that JavaScript and JSON do not have. */
function literals(random: Random) {
  const orNull = (make: () => Literal): Literal => (random.below(5) === 0 ? 'null' : make());
  const texts = [
    'ada',
    'Ada',
    'ADA',
    'bob',
    'Bob',
    '',
    ' ',
    'é',
    '😀',
    '\u{ffee}',
    'a"b',
    "o'c",
    'a\\b',
    '[1]',
    '10',
    'x\ny',
  ];
  const word = () => quote(random.pick(texts));
  const bigs = ['9007199254740993', '9007199254740992', '-9223372036854775808', '9223372036854775807', '0', '1', '-1'];
  const reals = ['0.1', '1.0', '1e300', '-1e-300', '9e999', '-9e999', '0.30000000000000004', '3.0'];
  const real = () =>
    random.below(2) === 0 ? random.pick(reals) : (random.share() * 10 ** random.below(40)).toPrecision(17);
  const bytes = () => random.pick(["x''", "x'0001'", "x'7f'", "x'30'", "x'616461'"]);
  const mixed = () => random.pick([word, bytes, real, () => random.pick(bigs)])();
  return { orNull, word, big: () => random.pick(bigs), real, bytes, mixed };
}

/** The same random rows in the plain database and over the shards. */
export async function fill(db: Database, random: Random, count: number): Promise<string[]> {
  const { orNull, word, big, real, bytes, mixed } = literals(random);
  const ids = Array.from({ length: count }, (_, i) => `t${random.below(10)}-${i}`);
  const rows = ids.map((id) => {
    const time = String(1_700_000_000 + random.below(9));
    return `(${[quote(id), word(), orNull(word), orNull(big), orNull(real), orNull(bytes), orNull(mixed), time].join(', ')})`;
  });
  const some = ids.flatMap((id, i) =>
    Array.from({ length: random.below(3) }, (_, n) => [i * 3 + n, quote(id), quote(random.pick(KINDS)), orNull(big)]),
  );
  const lists = {
    things: rows,
    parts: some.map((row) => `(${row.join(', ')})`),
    kinds: KINDS.map((code) => `('${code}', 'a ${code}')`),
    loose: [`('${ids[0]}', 'x')`],
  };
  for (const target of [plain, db.$client]) {
    for (const [table, list] of Object.entries(lists)) {
      for (let at = 0; at < list.length; at += 50) {
        await target.prepare(`insert into ${table} values ${list.slice(at, at + 50).join(', ')}`).run();
      }
    }
  }
  return ids;
}
