import { and, asc, count, desc, eq, gt, inArray, max, relations, sum } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { shardedDrizzle } from '../src/index';
import { compareValues } from '../src/merge/compare';
import { evenRanges, slotOf } from '../src/placement/slots';
import { InterceptedD1 } from '../src/testing/intercepted-d1';

const cities = sqliteTable('cities', {
  id: integer('id').primaryKey(),
  name: text('name').notNull(),
  country: text('country').notNull(),
  population: integer('population').notNull(),
});
const visitors = sqliteTable('visitors', { id: text('id').primaryKey(), name: text('name').notNull() });
const visits = sqliteTable('visits', {
  id: integer('id').primaryKey(),
  visitor: text('visitor').notNull(),
  city: integer('city').notNull(),
  stars: integer('stars').notNull(),
});
const schema = {
  cities,
  visitors,
  visits,
  visitorsRelations: relations(visitors, ({ many }) => ({ visits: many(visits) })),
  visitsRelations: relations(visits, ({ one }) => ({
    visitor: one(visitors, { fields: [visits.visitor], references: [visitors.id] }),
    city: one(cities, { fields: [visits.city], references: [cities.id] }),
  })),
};
const DDL = [
  'create table cities (id integer primary key, name text not null, country text not null, population integer not null)',
  'create table visitors (id text primary key, name text not null)',
  'create table visits (id integer primary key, visitor text not null, city integer not null, stars integer not null)',
];
const INDEXES = [
  'create index cities_name on cities (name, id)',
  'create index cities_country on cities (country, population)',
  'create index visitors_name on visitors (name)',
  'create index visits_visitor on visits (visitor)',
  'create index visits_city on visits (city)',
];

interface Env {
  readonly PLAIN: D1Database;
  readonly S0: D1Database;
  readonly S1: D1Database;
  readonly S2: D1Database;
  readonly S3: D1Database;
}

const SHARDS = 4;
/** Rows that the shards have sent, of statements that fetch; not what the last one gives. */
let fetched = 0;

const counted = (database: D1Database): D1Database =>
  new InterceptedD1(database, async (call, run) => {
    const answer = await run();
    const isFinish = (at: number) => / as materialized \(| end as weight/.test(call.statements[at]?.sql ?? '');
    for (const [i, result] of (Array.isArray(answer) ? (answer as D1Result[]) : []).entries()) {
      if (i > 0 && !isFinish(i)) fetched += result.results.length;
    }
    return answer;
  });

const databasesOf = ({ S0, S1, S2, S3 }: Env) => ({ s0: S0, s1: S1, s2: S2, s3: S3 });

const open = (env: Env) =>
  shardedDrizzle({
    schema,
    shards: Object.fromEntries(Object.entries(databasesOf(env)).map(([name, d1]) => [name, counted(d1)])) as Record<
      's0' | 's1' | 's2' | 's3',
      D1Database
    >,
    tables: { visits: { key: 'visitor' } },
  });

type Database = ReturnType<typeof drizzle<typeof schema>>;

const someVisitors = Array.from({ length: 20 }, (_, i) => `v${i * 131}`);

/** What is measured, and at most how many rows may be fetched from the shards for it. */
const CASES: Record<string, { readonly run: (db: Database) => PromiseLike<unknown>; readonly rows: number }> = {
  'group-by, 246 groups': {
    run: (db) =>
      db
        .select({ country: cities.country, n: count(), people: sum(cities.population), last: max(cities.name) })
        .from(cities)
        .groupBy(cities.country)
        .orderBy(desc(count()), cities.country),
    rows: SHARDS * 250,
  },
  'top 20 by name': {
    run: (db) => db.select().from(cities).orderBy(cities.name, cities.id).limit(20),
    rows: SHARDS * 20,
  },
  'top 20 without an index': {
    run: (db) => db.select().from(cities).orderBy(desc(cities.population), cities.id).limit(20),
    rows: SHARDS * 20,
  },
  'count with a condition': { run: (db) => db.$count(cities, gt(cities.population, 20_000)), rows: SHARDS },
  'page of 50, offset 100': {
    run: (db) =>
      db
        .select()
        .from(cities)
        .where(and(eq(cities.country, 'FR'), gt(cities.population, 1000)))
        .orderBy(desc(cities.population), asc(cities.id))
        .limit(50)
        .offset(100),
    rows: SHARDS * 150,
  },
  'semi-join: 20 visitors, their cities': {
    run: (db) =>
      db
        .select({ visit: visits.id, city: cities.name, stars: visits.stars })
        .from(visits)
        .innerJoin(cities, eq(cities.id, visits.city))
        .where(inArray(visits.visitor, someVisitors))
        .orderBy(visits.id),
    rows: 2000,
  },
  'semi-join: the visits of a country': {
    run: (db) =>
      db
        .select({ city: cities.name, n: count(), stars: sum(visits.stars) })
        .from(cities)
        .innerJoin(visits, eq(visits.city, cities.id))
        .where(eq(cities.country, 'MT'))
        .groupBy(cities.id)
        .orderBy(desc(count()), cities.name),
    rows: 2000,
  },
  'relation page: 20 visitors, 50 visits each, their cities': {
    run: (db) =>
      db.query.visitors.findMany({
        orderBy: visitors.name,
        limit: 20,
        with: { visits: { orderBy: visits.id, with: { city: { columns: { name: true } } } } },
      }),
    rows: SHARDS * 20 + 20 * 50 + 20 * 50,
  },
};

let sides: { readonly plain: Database; readonly sharded: Database } | undefined;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await request.json<{ name: string; side: 'plain' | 'sharded'; times: number; rows: unknown[][] }>();
    try {
      sides ??= { plain: drizzle(env.PLAIN, { schema }), sharded: open(env) as unknown as Database };
      return Response.json((await answer(pathname, body, env, sides)) ?? null);
    } catch (error) {
      return new Response(error instanceof Error ? `${error.stack} ${error.cause}` : String(error), { status: 500 });
    }
  },
};

async function answer(
  path: string,
  { name, side, times, rows }: { name: string; side: 'plain' | 'sharded'; times: number; rows: unknown[][] },
  env: Env,
  databases: NonNullable<typeof sides>,
): Promise<unknown> {
  if (path === '/tables') return onAll(env, (d1) => d1.batch(DDL.map((statement) => d1.prepare(statement))));
  if (path === '/indexes') return onAll(env, (d1) => d1.batch(INDEXES.map((statement) => d1.prepare(statement))));
  if (path === '/rows') return load(env, name, rows);
  if (path === '/names') return Object.keys(CASES);
  if (path === '/stream') return stream(env);
  const found = CASES[name];
  if (!found) throw new Error(`No case is called ${name}.`);
  // What is asked once an isolate is not part of it.
  if (path === '/same') await found.run(databases.sharded);
  fetched = 0;
  if (path === '/same') {
    const [plain, sharded] = [await found.run(databases.plain), await found.run(databases.sharded)];
    return { same: JSON.stringify(plain) === JSON.stringify(sharded), fetched, most: found.rows };
  }
  for (let i = 0; i < times; i++) await found.run(databases[side]);
  return { fetched };
}

/** All cities, one by one, in the order of their names. */
async function stream(env: Env): Promise<{ rows: number; sorted: boolean }> {
  const db = open(env);
  let rows = 0;
  let before = '';
  let sorted = true;
  for await (const { name } of db.$stream(db.select().from(cities).orderBy(cities.name, cities.id))) {
    sorted &&= compareValues(before, name, 'BINARY') <= 0;
    before = name;
    rows++;
  }
  return { rows, sorted };
}

const onAll = (env: Env, run: (d1: D1Database) => Promise<unknown>): Promise<unknown> =>
  Promise.all([env.PLAIN, ...Object.values(databasesOf(env))].map(run));

/** Rows whose first value is the shard key, put where first contact spreads their slots to; the key is at `at`. */
async function load(env: Env, table: string, rows: readonly unknown[][]): Promise<void> {
  const at = table === 'visits' ? 1 : 0;
  const starts = evenRanges(SHARDS);
  const parts: unknown[][][] = starts.map(() => []);
  for (const row of rows) {
    const slot = slotOf(String(row[at]));
    parts[starts.findLastIndex((start) => slot >= start)]?.push(row);
  }
  const values = rows[0]?.map((_, i) => `value->>${i}`).join(', ');
  const insert = (d1: D1Database, part: readonly unknown[][]) =>
    d1.prepare(`insert into ${table} select ${values} from json_each(?)`).bind(JSON.stringify(part)).run();
  await insert(env.PLAIN, rows);
  for (const [i, d1] of Object.values(databasesOf(env)).entries()) await insert(d1, parts[i] ?? []);
}
