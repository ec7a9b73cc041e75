import { count, desc, eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { unionAll } from 'drizzle-orm/sqlite-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { CursorError, ScatterError, shardedDrizzle, UnsupportedStatementError } from '../../src';
import { failureOf } from '../placement/fixture';
import { Random } from '../support/random';
import { plain, shards } from '../support/shards';
import { Fetched, fill, kinds, loose, makeTables, open, parts, schema, tables, things } from './fixture';

const fetched = new Fetched();
const db = open(3, fetched);

beforeAll(async () => {
  await makeTables();
  await fill(db, new Random(1), 30);
});

type Query = Parameters<typeof db.$page>[0];

describe('what $page and $stream refuse', () => {
  const all = db.select().from(things);
  const named = db.$with('named').as(db.select().from(things));
  const sub = db.select({ id: things.id }).from(things).as('sub');
  const refused: Record<string, readonly [query: Query, says: RegExp]> = {
    OFFSET: [db.select().from(things).orderBy(things.id).limit(5).offset(10), /OFFSET.*behind a row/],
    DISTINCT: [db.selectDistinct({ name: things.name }).from(things).limit(5), /DISTINCT/],
    aggregates: [db.select({ n: count() }).from(things).limit(5), /aggregates/],
    groups: [db.select({ name: things.name }).from(things).groupBy(things.name).limit(5), /GROUP BY/],
    compounds: [unionAll(all, db.select().from(things)).limit(5), /UNION|subquery/],
    windows: [
      db
        .select({ n: sql`row_number() over (order by ${things.id})` })
        .from(things)
        .limit(5),
      /window/,
    ],
    CTEs: [db.with(named).select().from(named).limit(5), /no primary key/],
    subqueries: [db.select().from(sub).limit(5), /no primary key/],
    'tables without a primary key': [db.select().from(loose).limit(5), /loose has no primary key/],
    'an order that is another each time': [db.select().from(things).orderBy(sql`random()`).limit(5), /random/],
    'an order by the clock': [
      db.select().from(things).orderBy(sql`${things.madeAt} - unixepoch()`).limit(5),
      /unixepoch/,
    ],
    'an order by nothing': [db.select().from(things).orderBy(sql`'x'`).limit(5), /cannot stand in a condition/],
    'a LIMIT that is computed': [
      db
        .select()
        .from(things)
        .limit(sql`2 + 3` as unknown as number),
      /LIMIT/,
    ],
    writes: [db.delete(things).where(eq(things.id, 'none')).returning() as unknown as Query, /no SELECT/],
  };

  it.each(Object.entries(refused))('%s', async (_what, [query, says]) => {
    fetched.counts.length = 0;
    for (const ask of [() => db.$page(query), () => db.$stream(query).next()]) {
      const error = await failureOf(ask());
      expect(error).toBeInstanceOf(UnsupportedStatementError);
      expect(error.message).toMatch(says);
      expect((error as UnsupportedStatementError).remedy).toBeTruthy();
    }
    expect(fetched.counts).toEqual([]);
  });

  it('$page: no LIMIT, and one of 0; $stream: rows of several keys, and chunks of nothing', async () => {
    expect((await failureOf(db.$page(db.select().from(things)))).message).toMatch(/no LIMIT.*\$stream/);
    expect((await failureOf(db.$page(db.select().from(things).limit(0)))).message).toMatch(/LIMIT of 0/);
    const met = db.select({ id: things.id }).from(things).innerJoin(parts, eq(parts.kind, things.name));
    expect((await failureOf(db.$stream(met).next())).message).toMatch(/several shard keys/);
    for (const chunk of [0, 1.5, -1]) {
      expect((await failureOf(db.$stream(db.select().from(things), { chunk }).next())).message).toMatch(/chunk/);
    }
  });

  it('what is no query of this database', async () => {
    const other = drizzle(plain).select().from(things).limit(5);
    expect((await failureOf(db.$page(other))).message).toMatch(/another database/);
    const raw = sql`select 1` as unknown as Query;
    expect((await failureOf(db.$page(raw))).message).toMatch(/Drizzle can map/);
  });

  it("with scatter: 'explicit', what asks all shards and is not made with $scatter", async () => {
    const explicit = shardedDrizzle({ schema, tables, shards: shards(3), scatter: 'explicit' });
    const query = explicit.select().from(things).orderBy(things.id).limit(5);
    expect(await failureOf(explicit.$page(query))).toBeInstanceOf(ScatterError);
    expect(await failureOf(explicit.$stream(query).next())).toBeInstanceOf(ScatterError);
    expect((await explicit.$scatter.$page(query)).rows).toHaveLength(5);
    expect(await explicit.$page(explicit.select().from(kinds).limit(2))).toMatchObject({ rows: [{}, {}] });
  });
});

describe('cursors', () => {
  const byName = () => db.select().from(things).orderBy(things.name).limit(5);

  it('that nobody has made are refused, and nothing runs', async () => {
    const { next } = await db.$page(byName());
    const made = next as string;
    const encode = (text: string) => btoa(text).replaceAll('=', '');
    const prefix = atob(made.slice(0, 12));
    const garbage = [
      '',
      'x',
      'garbage',
      '!!',
      '1',
      'ünïcode',
      made.slice(0, -3),
      made.slice(3),
      `${made}AAAA`,
      made.toUpperCase(),
      encode('1'),
      encode(`2${prefix.slice(1)}["a","b"]`),
      encode(`${prefix}["a","b","c"]`),
      encode(`${prefix}[["zz"],"b"]`),
      encode(`${prefix}[{"a":1},"b"]`),
      encode(`${prefix}[true,"b"]`),
      7 as unknown as string,
    ];
    fetched.counts.length = 0;
    for (const after of garbage) {
      const error = await failureOf(db.$page(byName(), { after }));
      expect(error, after).toBeInstanceOf(CursorError);
      expect(error.code).toBe('CURSOR');
    }
    expect(fetched.counts).toEqual([]);
    // Values that somebody has written are values.
    const written = await db.$page(byName(), { after: encode(`${prefix}["",""]`) });
    expect(written).toEqual(await db.$page(byName()));
  });

  it('of another query are refused: order, direction, tables, conditions', async () => {
    const { next: after } = await db.$page(byName());
    const others: Query[] = [
      db.select().from(things).orderBy(desc(things.name)).limit(5),
      db.select().from(things).orderBy(things.label).limit(5),
      db.select().from(things).orderBy(things.name, things.big).limit(5),
      db.select().from(things).where(eq(things.name, 'x')).orderBy(things.name).limit(5),
      db.select().from(kinds).orderBy(kinds.title).limit(5),
      db.select().from(things).orderBy(sql`${things.name} collate nocase`).limit(5),
    ];
    fetched.counts.length = 0;
    for (const query of others) {
      const error = await failureOf(db.$page(query, { after }));
      expect(error).toBeInstanceOf(CursorError);
      expect(error.message).toMatch(/of another query.*begin without it/);
    }
    const near = (place: number) => db.select().from(things).orderBy(sql`abs(${things.big} - ${place})`).limit(5);
    const { next } = await db.$page(near(3));
    fetched.counts.length = 0;
    expect(await failureOf(db.$page(near(4), { after: next }))).toBeInstanceOf(CursorError);
    expect(fetched.counts).toEqual([]);
    expect((await db.$page(near(3), { after: next })).rows).toHaveLength(5);
  });
});
