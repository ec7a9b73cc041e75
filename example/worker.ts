import { eq } from 'drizzle-orm';
import { type Context, Hono } from 'hono';
import { contextStorage, tryGetContext } from 'hono/context-storage';
import { HTTPException } from 'hono/http-exception';
import { cities, users, visits } from '../schema';
import type { Bindings } from './bindings';
import { type Database, openDatabase, shardNames } from './database';
import { errorAnswer } from './errors';
import { explainable } from './explain';
import { InputError, optionalDate, optionalText, requiredText, searchText, wholeNumber } from './input';
import {
  citiesById,
  countriesByName,
  populationByCountry,
  searchCities,
  topCities,
  userWithVisits,
  visitsOfUser,
} from './queries';
import { Trace } from './trace';

// The Durable Object that holds the catalog of shards: wrangler.toml binds it.
export { ShardCoordinator } from '../src/workerd';

interface App {
  Bindings: Bindings;
  Variables: { db: Database; trace: Trace };
}

const app = new Hono<App>();

// One database for all requests, as it remembers how to run the statements that it has seen; and a trace for each
// request, which `onQuery` finds through the request's own context.
let database: Database | undefined;

app.use(contextStorage());
app.use(async (c, next) => {
  database ??= openDatabase(c.env, { onQuery: (event) => tryGetContext<App>()?.var.trace.record(event) });
  c.set('db', database);
  c.set('trace', new Trace());
  await next();
});

const answer = <T>(c: Context<App>, data: T, status: 200 | 201 = 200) => c.json(c.var.trace.answer(data), status);

const limit = (c: Context<App>, fallback: number) => wholeNumber('limit', c.req.query('limit'), { fallback });

app.get('/cities/top', async (c) => answer(c, await topCities(c.var.db, limit(c, 20))));

app.get('/cities/search', async (c) =>
  answer(c, await searchCities(c.var.db, searchText('prefix', c.req.query('prefix')), limit(c, 20))),
);

app.get('/cities/:id', async (c) => {
  const id = wholeNumber('id', c.req.param('id'), { max: Number.MAX_SAFE_INTEGER });
  const [city] = await citiesById(c.var.db, [id]);
  return answer(c, city ?? notFound(`no city ${id}`));
});

app.get('/countries', async (c) => answer(c, await countriesByName(c.var.db)));

app.get('/countries/population', async (c) => answer(c, await populationByCountry(c.var.db, limit(c, 20))));

app.post('/users', async (c) => {
  const body = await jsonBody(c);
  const name = requiredText('name', body.name);
  const id = optionalText('id', body.id, 64);
  const [user] = await c.var.db
    .insert(users)
    .values({ name, ...(id === null ? {} : { id }) })
    .returning();
  return answer(c, user, 201);
});

app.get('/users/:id', async (c) => {
  const id = c.req.param('id');
  return answer(c, (await userWithVisits(c.var.db, id)) ?? notFound(`no user '${id}'`));
});

// The visits go with their user: they are on the same shard, so the cascade is SQLite's own.
app.delete('/users/:id', async (c) => {
  const id = c.req.param('id');
  const [user] = await c.var.db.delete(users).where(eq(users.id, id)).returning();
  return answer(c, user ?? notFound(`no user '${id}'`));
});

app.post('/users/:id/visits', async (c) => {
  const body = await jsonBody(c);
  const cityId = wholeNumber('cityId', body.cityId, { max: Number.MAX_SAFE_INTEGER });
  const note = optionalText('note', body.note, 500);
  const visitedAt = optionalDate('visitedAt', body.visitedAt);
  // The city may be on another shard, where a foreign key cannot look: ask for it.
  if ((await c.var.db.$count(cities, eq(cities.id, cityId))) === 0) notFound(`no city ${cityId}`);
  const [visit] = await c.var.db
    .insert(visits)
    .values({ userId: c.req.param('id'), cityId, note, ...(visitedAt && { visitedAt }) })
    .returning();
  return answer(c, visit, 201);
});

app.get('/users/:id/visits', async (c) => answer(c, await visitsOfUser(c.var.db, c.req.param('id'), limit(c, 50))));

// `$shard` is plain Drizzle on one database: what each of them holds, past the router.
app.get('/shards', async (c) => {
  const { db, trace } = c.var;
  const counts = await Promise.all(
    (await shardNames(db)).map(async (name) => {
      const shard = db.$shard(name);
      trace.asked(name);
      return { name, cities: await shard.$count(cities), users: await shard.$count(users) };
    }),
  );
  return answer(c, counts);
});

app.get('/explain', async (c) => {
  const name = c.req.query('query') ?? '';
  const query = explainable.get(name);
  if (query === undefined) throw new InputError(`query must be one of: ${[...explainable.keys()].join(', ')}`);
  const statement = query(c.var.db, c.req.query());
  return answer(c, { sql: statement.toSQL().sql, ...(await c.var.db.$explain(statement)) });
});

app.notFound((c) => c.json({ error: 'NotFound', code: 'NOT_FOUND', message: `no route ${c.req.path}` }, 404));

app.onError((error, c) => {
  const { status, body } = errorAnswer(error);
  if (status >= 500) console.error(error);
  return c.json(body, status);
});

async function jsonBody(c: Context<App>): Promise<Record<string, unknown>> {
  const body: unknown = await c.req.json().catch(() => undefined);
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  throw new InputError('the body must be a JSON object');
}

function notFound(message: string): never {
  throw Object.assign(new HTTPException(404, { message }), { name: 'NotFound', code: 'NOT_FOUND' });
}

export default app;
