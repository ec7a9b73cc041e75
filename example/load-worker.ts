import { count, max } from 'drizzle-orm';
import { Hono } from 'hono';
import { cities, countries } from '../schema';
import type { Bindings } from './bindings';
import { type Database, openDatabase, shardNames } from './database';
import { errorAnswer } from './errors';
import type { LoadState } from './load-state';

/**
 * Fills the databases with the data set, through the same `db` as the example itself. `npm start` runs it beside the
 * example while it loads; it is no part of what would be deployed.
 */
const app = new Hono<{ Bindings: Bindings; Variables: { db: Database } }>();

// One for all requests: their statements are the same, and it remembers what it has read.
let database: Database | undefined;

app.use(async (c, next) => {
  database ??= openDatabase(c.env);
  c.set('db', database);
  await next();
});

/** D1 binds 100 values to a statement, and a country has 9. */
const COUNTRIES_PER_STATEMENT = 11;

app.get('/state', async (c) => {
  const { db } = c.var;
  const [loaded] = await db.select({ cities: count(), lastCityId: max(cities.id) }).from(cities);
  const copies = await Promise.all(shardNames(db).map((name) => db.$shard(name).$count(countries)));
  return c.json<LoadState>({
    cities: loaded?.cities ?? 0,
    lastCityId: loaded?.lastCityId ?? null,
    countries: Math.min(...copies),
  });
});

// Rows that are there already are left alone, so that a load can be repeated.
app.post('/cities', async (c) => {
  const rows = await c.req.json<(typeof cities.$inferInsert)[]>();
  await c.var.db.insert(cities).values(rows).onConflictDoNothing();
  return c.body(null, 204);
});

app.post('/countries', async (c) => {
  const { db } = c.var;
  const rows = await c.req.json<(typeof countries.$inferInsert)[]>();
  const insert = (part: typeof rows) => db.insert(countries).values(part).onConflictDoNothing();
  const [first, ...rest] = [...pieces(rows, COUNTRIES_PER_STATEMENT)].map(insert);
  if (first) await db.batch([first, ...rest]);
  return c.body(null, 204);
});

app.onError((error, c) => {
  const { status, body } = errorAnswer(error);
  return c.json(body, status);
});

function* pieces<T>(items: T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

export default app;
