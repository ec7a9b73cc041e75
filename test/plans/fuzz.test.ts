import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { ShardedDrizzleError } from '../../src/errors';
import { Layout, TablesNeeded } from '../../src/layout/layout';
import { planStatement } from '../../src/plan/plan-statement';
import { parse } from '../../src/sql/parse';
import { type Token, tokenize } from '../../src/sql/tokens';
import { Random } from '../support/random';
import { run, runEverywhere } from '../support/seed';
import { plain, shards } from '../support/shards';
import { clearing, contents, seedStatements, tables } from './fuzz-fixture';
import { mutated, rewritten, type Statement, soup } from './fuzz-text';

/** Another seed looks for other failures: `VITE_DIFF_SEED=7 npm test -- test/plans/fuzz`. */
const SEED = Number(import.meta.env.VITE_DIFF_SEED ?? 20261123);
const FACTOR = Number(import.meta.env.VITE_DIFF_FACTOR ?? 1);

const rules = {
  posts: { key: 'user_id' },
  orders: { key: 'user_id' },
  audits: { keyspace: 'audit' },
  countries: { replicated: true },
  settings: { shard: 's0' },
} as const;

const isText = (sql: string): boolean => {
  try {
    return tokenize(sql).length > 0;
  } catch {
    return false;
  }
};

/** Statements of the golden plans, with the values that they bind. */
const golden: readonly Statement[] = Object.values(
  import.meta.glob<string>('./golden/*.txt', { query: '?raw', import: 'default', eager: true }),
)
  .flatMap((file) => file.split(/^### /m).slice(1))
  .flatMap((block) => {
    const [, ...lines] = (block.split(/^---$/m)[0] ?? '').trimEnd().split('\n');
    const values = lines.find((line) => line.startsWith('params '))?.slice('params '.length) ?? '[]';
    const sql = lines.filter((line) => !/^(params |on one shard$)/.test(line)).join('\n');
    return { sql, params: JSON.parse(values) as unknown[] };
  })
  // What is different each time, or changes the schema, cannot be compared.
  .filter(({ sql }) => isText(sql))
  .filter(
    ({ sql }) =>
      !/sqlite_|random|current_|now|changes|last_insert|^(create|drop|alter|pragma|explain|analyze|reindex|begin)/i.test(
        sql,
      ),
  );

let db: ReturnType<typeof open>;
let sharded: D1Database;
let layout: Layout;
const databases = shards(2);
const open = () => shardedDrizzle({ shards: databases, tables: rules });

beforeAll(async () => {
  await runEverywhere(databases, tables);
  db = open();
  sharded = db.$client;
  layout = Layout.fromConfig({ shards: databases, tables: rules } as never);
  for (const name of 'users posts orders numbers accounts audits countries settings'.split(' '))
    await layout.discover(name, plain);
  for (const sql of seedStatements) for (const database of [plain, sharded]) await database.prepare(sql).run();
});

/** Throws what is no error of the package's own. */
function planned(sql: string): void {
  try {
    planStatement(sql, layout).kind;
  } catch (error) {
    if (error instanceof ShardedDrizzleError || error instanceof TablesNeeded) return;
    throw new Error(`seed ${SEED}: ${String(error)} of ${JSON.stringify(sql.slice(0, 500))}`, { cause: error });
  }
}

describe('any text', () => {
  it('is planned, or refused with an error of the package', () => {
    const random = new Random(SEED);
    for (let i = 0; i < 6000 * FACTOR; i++) planned(soup(random));
    for (let i = 0; i < 6000 * FACTOR; i++) planned(mutated(random, random.pick(golden), golden).sql);
  });

  it.each<[string, (n: number) => string]>([
    ['parentheses', (n) => `select ${'('.repeat(n)}1${')'.repeat(n)}`],
    ['open parentheses', (n) => `select * from users where ${'('.repeat(n)}`],
    ['closed parentheses', (n) => `select * from users where id = 1${')'.repeat(n)}`],
    ['conditions', (n) => `select * from users where ${'(id = 1 or '.repeat(n)}0${')'.repeat(n)}`],
    [
      'conditions, both',
      (n) => `select * from users where ${'(id = 1 and (name = 2 or '.repeat(n / 2)}0${'))'.repeat(n / 2)}`,
    ],
    [
      'subqueries',
      (n) =>
        `select * from users where id in ${'(select user_id from posts where id in '.repeat(n)}(1)${')'.repeat(n)}`,
    ],
    ['derived tables', (n) => `select * from ${'(select * from '.repeat(n)}users${')'.repeat(n)}`],
    ['joins in parentheses', (n) => `select * from ${'(users join '.repeat(n)}posts${')'.repeat(n)}`],
    ['functions', (n) => `update users set name = ${'lower('.repeat(n)}name${')'.repeat(n)}`],
    ['values', (n) => `insert into users (id, name) values (${'('.repeat(n)}'u1'${')'.repeat(n)}, 'x')`],
    ['CTEs', (n) => `${'with q as (select * from ('.repeat(n)}select 1${')) select * from q'.repeat(n)}`],
    [
      'scalar subqueries in a write',
      (n) => `delete from users where age = ${'(select max(age) from users where age = '.repeat(n)}1${')'.repeat(n)}`,
    ],
  ])('%s within one another end in no other error, however deep', (_, nested) => {
    for (const n of [3, 50, 149, 298, 1000, 10_000]) planned(nested(n));
    expect(() => parse(nested(10_000))).toThrow(expect.objectContaining({ code: 'SQL_SYNTAX' }));
  });

  it.each<[string, string]>([
    ['conditions', `select * from users where ${'id = 1 or '.repeat(10_000)}0`],
    ['terms', `select ${'1 + '.repeat(25_000)}1`],
    ['columns', `select ${'id, '.repeat(25_000)}id from users`],
    ['operators', `select ${'not '.repeat(20_000)}${'-'.repeat(5)}1`],
    ['a list', `select * from users where id in (${'?, '.repeat(30_000)}?)`],
    ['CASE', `select ${'case when '.repeat(9000)}1${' end'.repeat(9000)} from users`],
    ['BETWEEN', `select * from users where ${'age between 1 and '.repeat(5000)}2`],
    ['commas', `select * from users${', users'.repeat(400)}`],
    ['too many tables', `select * from users${', users'.repeat(12_000)}`],
    ['unions', `select 1${' union all select 1'.repeat(5000)}`],
    [
      'CTEs',
      `with ${Array.from({ length: 30 }, (_, i) => `c${i + 1} as (select * from c${i} x, c${i} y)`).join(', ')}, c0 as (select 1) select * from c30`,
    ],
    ['comments', `select 1 ${'/* -- */ -- /*\n'.repeat(6000)}`],
    ['slashes', `select ${'/'.repeat(100_000)}`],
    ['quotes', `select ${"''".repeat(50_000)}`],
    ['brackets', `select ${'['.repeat(100_000)}`],
    ['semicolons', ';'.repeat(100_000)],
    ['numbers', `select ${'1_'.repeat(50_000)}`],
    ['e', `select 1${'e1'.repeat(50_000)}`],
    ['dots', `select a${'.a'.repeat(50_000)} from users`],
    ['parameters', `select ${'?, '.repeat(30_000)}?99999999999999999999`],
    ['joins', `select * from users ${'left outer join posts on 1 '.repeat(300)}`],
    ['rows', `insert into users (id, name) values ${"('u1', 'x'), ".repeat(6000)}('u2', 'y')`],
  ])('%s without end are read once', (_, sql) => planned(sql));

  it('that SQLite would end early, or run on with, is refused', () => {
    const texts = [
      "select * from users /* \0 */ where id = 'u1'",
      "select * from users -- \0\n where id = 'u1'",
      'select * from users where id = :a(1)',
      'select * from users where id = $a::b',
      "explain select 1; insert into users (id, name) values ('a', 'b')",
      'pragma user_version; delete from users',
      "create table x (a); insert into users (id, name) values ('a', 'b')",
      'create trigger t after insert on users begin select case 1 when 1 then 2 end; end; delete from users',
    ];
    for (const sql of texts) expect(() => parse(sql), sql).toThrow(ShardedDrizzleError);
    const trigger =
      'create trigger t after insert on users begin select case 1 when 1 then 2 end; delete from posts; end;';
    expect(parse(trigger).statement.kind).toBe('ddl');
    expect(() => parse('create table x (a default (case 1 when 1 then 2 end));;')).not.toThrow();
  });

  it('is split as SQLite splits it', () => {
    const kinds = (sql: string) => tokenize(sql).map(({ value }: Token) => value);
    expect(kinds('ÄB li\u212ae İ')).toEqual(['Äb', 'li\u212ae', 'İ']);
    expect(kinds('a \ufeffb\ufeffc')).toEqual(['a', 'b\ufeffc']);
  });
});

const allOf = async (database: D1Database, { sql, params }: Statement): Promise<D1Result> =>
  (params.length > 0 ? database.prepare(sql).bind(...params) : database.prepare(sql)).all();

/** Different each time, or on each database; and what may recurse without end, also on one. */
const UNCOMPARABLE =
  /recursive|with.*union|sqlite_|random|current_|now|changes|last_insert|vacuum|pragma|attach|create|drop|alter/is;

/**
 * Open where the order is: which rows a LIMIT takes, which row a subquery that is one value, and from which row the columns come
 * that stand beside an aggregate.
 */
const OPEN = /\blimit\b|group by|(count|sum|total|avg|min|max|group_concat|string_agg|json_group_\w+) \(|= \( select/i;

/** Without comments, and with one space for any. */
const bare = (sql: string): string =>
  sql
    .replace(/\/\*.*?\*\/|--[^\n]*/gs, ' ')
    .replace(/\s+/g, ' ')
    .replace(/ ?\( ?/g, ' ( ');

const isWrite = ({ sql }: Statement): boolean => /\b(insert|update|delete|replace)\b/i.test(sql);

type Outcome = { readonly result: D1Result } | { readonly error: unknown };

const outcomeOf = (database: D1Database, statement: Statement): Promise<Outcome> =>
  allOf(database, statement).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );

/** Without the number that a sequence gave to a row: it is another than one database would count. */
const unnumbered = (row: string): string => row.replace(/^(insert into (?:orders|numbers) values \()\d{2,3},/, '$1#,');

/** Which shards it goes to, or why not. */
const routeOf = ({ sql, params }: Statement): Promise<unknown> =>
  db.$explain({ sql, params: [...params] }).then(
    ({ shards: asked }) => asked,
    (error: ShardedDrizzleError) => error.code ?? String(error),
  );

/**
 * Rows as texts, sorted: SQL promises an order only where one is asked for. A comment behind the last column is part of its
 * name in SQLite, and is lost where hidden columns follow.
 */
const shown = ({ results }: D1Result): string[] => {
  const nameOf = (name: string) => name.replace(/\/\*.*?\*\/|--.*/gs, '').trim();
  const entries = (row: unknown) => Object.entries(row as object).map(([name, value]) => [nameOf(name), value]);
  return results.map((row) => JSON.stringify(entries(row))).sort();
};

describe('a changed statement on two shards', () => {
  let before: readonly (readonly [D1Database, readonly string[]])[];
  beforeAll(async () => {
    before = await Promise.all(
      [plain, ...Object.values(databases)].map(async (one) => [one, await contents(one)] as const),
    );
  });
  const restore = () => Promise.all(before.map(([database, rows]) => run(database, [...clearing, ...rows])));
  beforeEach(async () => {
    await restore();
  });

  /** What differs between the two sides, if anything. */
  async function differing(statement: Statement, expected: D1Result, got: D1Result): Promise<string | undefined> {
    const { sql } = statement;
    const say = (what: string, left: unknown, right: unknown) =>
      `${what} of ${JSON.stringify(statement)}:\n  one D1 ${JSON.stringify(left)}\n  shards ${JSON.stringify(right)}`;
    const differs = (left: unknown, right: unknown) => JSON.stringify(left) !== JSON.stringify(right);
    const isOpen = OPEN.test(bare(sql));
    const [left, right] = [expected, got].map(isOpen ? ({ results }) => [String(results.length)] : shown);
    if (differs(left, right)) return say('rows', left, right);
    if (!isWrite(statement)) return undefined;
    if (expected.meta.changes !== got.meta.changes) return say('changes', expected.meta.changes, got.meta.changes);
    if (isOpen) return undefined;
    const whole = await contents(plain);
    const each = (await Promise.all(Object.values(databases).map(contents))).flat();
    const once = (rows: readonly string[]) => [...new Set(rows.map(unnumbered))].sort();
    if (differs(once(whole), once(each))) {
      const less = (a: readonly string[], b: readonly string[]) => a.filter((row) => !b.includes(row));
      return say('contents', less(once(whole), once(each)), less(once(each), once(whole)));
    }
    // What is not whole on every shard is there once.
    const own = (rows: readonly string[]) => rows.filter((row) => !row.includes('into countries')).length;
    return differs(own(whole), own(each)) ? say('rows', own(whole), own(each)) : undefined;
  }

  it('gives what one D1 gives, or is refused', async () => {
    const random = new Random(SEED + 1);
    const tally = { accepted: 0, refused: 0, invalid: 0, writes: 0 };
    const wrong: string[] = [];
    while (tally.accepted + tally.refused < 300 * FACTOR) {
      const statement = mutated(random, random.pick(golden), golden);
      if (UNCOMPARABLE.test(statement.sql)) continue;
      const expected = await outcomeOf(plain, statement);
      if ('error' in expected) {
        tally.invalid++;
        continue;
      }
      const got = await outcomeOf(sharded, statement);
      if ('result' in got) {
        tally.accepted++;
        if (isWrite(statement)) tally.writes++;
        const found = await differing(statement, expected.result, got.result);
        if (found) wrong.push(found);
      } else if (got.error instanceof ShardedDrizzleError && got.error.code !== 'PARTIAL_WRITE') {
        tally.refused++;
      } else wrong.push(`${String(got.error)} of ${JSON.stringify(statement)}`);
      if (isWrite(statement)) await restore();
    }
    console.log(`changed statements: ${JSON.stringify(tally)}`);
    expect(wrong, `seed ${SEED}`).toEqual([]);
    expect(tally.accepted).toBeGreaterThan(tally.refused);
    expect(tally.writes).toBeGreaterThan(20);
  });

  it('goes to the same shards however it is written', async () => {
    const random = new Random(SEED + 2);
    let compared = 0;
    for (const statement of golden) {
      const route = await routeOf(statement);
      for (let i = 0; i < 3; i++) {
        const other = { ...statement, sql: rewritten(random, statement.sql) };
        expect(await routeOf(other), `seed ${SEED}: ${other.sql}`).toEqual(route);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(200);
  });
});
