import { count, max } from 'drizzle-orm';
import { Hono } from 'hono';
import { cities, countries } from '../schema';
import type { Bindings } from './bindings';
import { type Database, openDatabase, shardNames } from './database';
import { errorAnswer } from './errors';
import type { LoadState } from './load-state';

// The Durable Object that holds the catalog of shards: wrangler.toml binds it.
export { ShardCoordinator } from '../src/workerd';

/**
 * Fills the databases with the data set, through the same `db` as the example itself. `npm start` runs it beside the
 * example while it loads; it is no part of what would be deployed.
 */
const app = new Hono<{ Bindings: Bindings; Variables: { db: Database } }>();

// One for all requests: their statements are the same, and it remembers what it has read.
let database: Database | undefined;

app.use(async (c, next) => {
  // Rows that are there already are left alone, so there is nothing to try first.
  database ??= openDatabase(c.env, { rehearseWrites: false });
  c.set('db', database);
  await next();
});

app.get('/state', async (c) => {
  const { db } = c.var;
  const [loaded] = await db.select({ cities: count(), lastCityId: max(cities.id) }).from(cities);
  const copies = await Promise.all((await shardNames(db)).map((name) => db.$shard(name).$count(countries)));
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
  const rows = await c.req.json<(typeof countries.$inferInsert)[]>();
  await c.var.db.insert(countries).values(rows).onConflictDoNothing();
  return c.body(null, 204);
});

app.onError((error, c) => {
  const { status, body } = errorAnswer(error);
  return c.json(body, status);
});

export default app;
