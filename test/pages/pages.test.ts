import { and, asc, desc, eq, getTableColumns, gt, inArray, ne, type SQL, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { beforeEach, describe, expect, it } from 'vitest';
import { Random } from '../support/random';
import { plain } from '../support/shards';
import { type Database, Fetched, fill, kinds, makeTables, open, parts, schema, things } from './fixture';

/** To look for more: `VITE_PAGES_SEED=7`. */
const SEED = Number(import.meta.env.VITE_PAGES_SEED ?? 20261123);

interface Pageable<TRow> extends PromiseLike<TRow[]> {
  toSQL(): { sql: string; params: unknown[] };
}

/** All pages of a query, one after the other. */
async function pagesOf<TRow>(db: Database, query: Pageable<TRow>): Promise<TRow[][]> {
  const pages: TRow[][] = [];
  let after: string | undefined;
  do {
    const { rows, next } = await db.$page(query, { after });
    expect(next ?? '-').toMatch(/^[\w-]+$/);
    pages.push(rows);
    after = next;
    if (pages.length > 500) throw new Error('The pages do not end');
  } while (after !== undefined);
  return pages;
}

const plainDb = () => drizzle(plain, { schema });

const AFFINE = sql`(select ${things.big} where ${things.big} <> 0 union all select ${things.name} limit 1)`;
/** Terms to order by; the primary key decides where they are equal. */
const TERMS = {
  name: sql`${things.name}`,
  label: sql`${things.label}`,
  big: sql`${things.big}`,
  ratio: sql`${things.ratio}`,
  bytes: sql`${things.bytes}`,
  mixed: sql`${things.mixed}`,
  madeAt: sql`${things.madeAt}`,
  id: sql`${things.id}`,
  'name nocase': sql`${things.name} collate nocase`,
  'label binary': sql`${things.label} collate binary`,
  lower: sql`lower(${things.name})`,
  sum: sql`${things.big} / 2 + ${1}`,
  cast: sql`cast(${things.mixed} as text)`,
  'as number': sql`cast(${things.mixed} as integer)`,
  case: sql`case when ${things.mixed} = '10' then ${things.mixed} else ${things.big} end`,
  json: sql`json_array(${things.name})`,
  // Of the affinity of its first part, which its value does not have.
  affine: sql`affine`,
  wrapped: sql`(${things.mixed})`,
} as const;
const SUFFIXES = ['', ' asc', ' desc', ' desc', ' nulls last', ' desc nulls first', ' desc nulls last', ' nulls first'];

beforeEach(makeTables);

describe('the pages of a query', () => {
  it.each([1, 2, 5])(`are together what one database gives, over %i shards (seed ${SEED})`, async (count) => {
    const random = new Random(SEED + count);
    const db = open(count);
    await fill(db, random, 70);
    for (let round = 0; round < 24; round++) {
      const names = Array.from({ length: 1 + random.below(3) }, () => random.pick(Object.keys(TERMS)));
      const order = names.map((name) => {
        const suffix = random.pick(SUFFIXES);
        return { text: `${name}${suffix}`, term: sql`${TERMS[name as keyof typeof TERMS]}${sql.raw(suffix)}` };
      });
      const limit = 1 + random.below(30);
      const where = random.pick<SQL | undefined>([
        undefined,
        ne(things.name, 'bob'),
        sql`${things.big} > 0 or ${things.ratio} < ${5}`,
      ]);
      const terms = order.map(({ term }) => term);
      const what = `${order.map(({ text }) => text).join(', ')} limit ${limit}, round ${round}`;
      const query = (from: Pick<Database, 'select'>) => {
        const columns = {
          affine: AFFINE.as('affine'),
          ...getTableColumns(things),
          exact: sql<string>`quote(${things.mixed}) || quote(${things.big})`,
        };
        return from.select(columns).from(things).where(where);
      };
      const expected = await query(plainDb()).orderBy(...terms, asc(things.id));
      const pages = await pagesOf(
        db,
        query(db)
          .orderBy(...terms)
          .limit(limit),
      );
      expect(pages.flat(), what).toEqual(expected);
      expect(
        pages.slice(0, -1).every((rows) => rows.length === limit),
        what,
      ).toBe(true);
    }
  });

  it.each([1, 3])('of joins are those of one database, over %i shards', async (count) => {
    const random = new Random(SEED);
    const db = open(count);
    const ids = await fill(db, random, 40);
    const joined = (from: Pick<Database, 'select'>) =>
      from
        .select()
        .from(things)
        .leftJoin(parts, eq(parts.thingId, things.id))
        .leftJoin(kinds, eq(kinds.code, parts.kind));
    const expected = await joined(plainDb()).orderBy(desc(parts.size), things.name, things.id, parts.id);
    expect((await pagesOf(db, joined(db).orderBy(desc(parts.size), things.name).limit(7))).flat()).toEqual(expected);
    const named = { a: things.name, b: parts.kind, n: sql<number>`${parts.size} is null`.as('n') };
    const inner = (from: Pick<Database, 'select'>) =>
      from
        .select(named)
        .from(parts)
        .innerJoin(things, eq(parts.thingId, things.id))
        .where(inArray(things.id, ids.slice(5, 25)));
    const sorted = await inner(plainDb()).orderBy(sql`n desc`, sql`1`, parts.id);
    expect((await pagesOf(db, inner(db).orderBy(sql`n desc`, sql`1`).limit(4))).flat()).toEqual(sorted);
  });

  it('may meet on one shard: joins on other columns', async () => {
    const db = open(3);
    await fill(db, new Random(SEED), 12);
    const query = (from: Pick<Database, 'select'>) =>
      from.select({ name: things.name, size: parts.size }).from(things).innerJoin(parts, gt(parts.thingId, things.id));
    expect((await db.$explain(query(db))).kind).toBe('gather');
    const expected = await query(plainDb()).orderBy(things.name, things.id, parts.id);
    expect((await pagesOf(db, query(db).orderBy(things.name).limit(9))).flat()).toEqual(expected);
  });

  it('are of one shard where a key confines them, and in the order of the key without ORDER BY', async () => {
    const fetched = new Fetched();
    const db = open(3, fetched);
    const ids = await fill(db, new Random(SEED), 30);
    const own = db
      .select()
      .from(parts)
      .where(eq(parts.thingId, ids[1] as string))
      .limit(1);
    const pages = await pagesOf(db, own);
    expect(pages.flat()).toEqual(
      await plainDb()
        .select()
        .from(parts)
        .where(eq(parts.thingId, ids[1] as string)),
    );
    expect(new Set(fetched.counts.map(({ shard }) => shard)).size).toBe(1);
    const all = await pagesOf(db, db.select({ id: things.id }).from(things).limit(8));
    expect(all.flat().map(({ id }) => id)).toEqual([...ids].sort());
  });

  it('ask each shard for no more rows than the LIMIT, and do not read earlier pages again', async () => {
    const fetched = new Fetched();
    const db = open(5, fetched);
    await fill(db, new Random(SEED), 200);
    const pages = await pagesOf(db, db.select().from(things).orderBy(things.name, things.id).limit(20));
    expect(pages.flat()).toHaveLength(200);
    expect(fetched.counts).toHaveLength(pages.length * 5);
    expect(Math.max(...fetched.counts.map(({ rows }) => rows))).toBeLessThanOrEqual(20);
    const last = fetched.counts.at(-1)?.sql ?? '';
    const params = [...last.matchAll(/\?/g)].map(() => '["bob","t1"]').slice(0, -1);
    const plan = await plain
      .prepare(`explain query plan ${last}`)
      .bind(...params, 20)
      .all<{ detail: string }>();
    expect(plan.results.map(({ detail }) => detail).join()).toMatch(
      /SEARCH things USING INDEX things_name \(name>\?\)/,
    );
  });

  it('are not shifted by rows that are added or deleted before the cursor', async () => {
    const db = open(3);
    await fill(db, new Random(SEED), 30);
    const query = db.select({ id: things.id, name: things.name }).from(things).orderBy(desc(things.name)).limit(10);
    const first = await db.$page(query);
    const rest = await db.$page(query, { after: first.next });
    await db.insert(things).values(['zzz', '\u{10ffff}'].map((name, i) => ({ id: `new${i}`, name })));
    await db.delete(things).where(eq(things.id, first.rows[3]?.id as string));
    expect(await db.$page(query, { after: first.next })).toEqual(rest);
    // Also if the row that the cursor was made of is no more.
    await db.delete(things).where(eq(things.id, first.rows.at(-1)?.id as string));
    expect(await db.$page(query, { after: first.next })).toEqual(rest);
  });

  it('end with the page that is not full', async () => {
    const db = open(2);
    await fill(db, new Random(SEED), 10);
    const query = db.select().from(things).orderBy(things.id).limit(5);
    expect((await pagesOf(db, query)).map((rows) => rows.length)).toEqual([5, 5, 0]);
    expect(await db.$page(db.select().from(things).orderBy(things.id).limit(11), { after: null })).toMatchObject({
      next: undefined,
    });
  });

  it('go on with another LIMIT, other columns and other values', async () => {
    const db = open(3);
    const ids = await fill(db, new Random(SEED), 20);
    const some = (count: number, list: string[]) =>
      db
        .select({ id: things.id })
        .from(things)
        .where(and(inArray(things.id, list), gt(things.id, '')))
        .orderBy(things.id)
        .limit(count);
    const sorted = [...ids].sort();
    const { next } = await db.$page(some(3, ids));
    const { rows } = await db.$page(some(6, ids.slice(1)), { after: next });
    expect(rows.map(({ id }) => id)).toEqual(
      sorted
        .slice(3)
        .filter((id) => id !== ids[0])
        .slice(0, 6),
    );
  });
});
