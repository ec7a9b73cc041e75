import { getTableName, type SQLWrapper } from 'drizzle-orm';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import { type ClusterApi, clusterApi } from './cluster-api';
import type { DrizzleOptions, ShardedConfig } from './config';
import { ConfigError } from './errors';
import { queriesOf } from './execution/budget';
import { createCluster, type ReadyCluster } from './execution/cluster';
import { ShardedDatabase as ShardedD1 } from './execution/database';
import { type Explanation, explainRoute } from './execution/explain';
import type { RowsQuery } from './execution/mapped';
import { demandOf } from './execution/run';
import type { Casing } from './layout/column-name';
import { DEFAULT_KEYSPACE } from './layout/placement-rules';
import { renderSql } from './layout/render-sql';
import { type Page, type PageOptions, page, type StreamOptions, stream } from './pages';
import type { PlacedKey } from './placement/guard';
import { canonicalKey } from './placement/key';
import { pointOf, type Region, type Whereabouts } from './placement/regions';
import { Doubt } from './placement/signals';

/** A statement as text and values. */
export interface SqlText {
  sql: string;
  params?: readonly unknown[];
}

/** What can be explained: a Drizzle query, `sql`, or text with values. */
export type Explainable = { toSQL(): { sql: string; params: unknown[] } } | SQLWrapper | SqlText;

/** What `shardedDrizzle` adds to Drizzle's own database object. */
export interface ShardedHelpers<TDatabase, TShard extends string> {
  /**
   * The plain `drizzle(d1)` of one shard, without a cache: two shards sharing one would read each other's rows.
   *
   * @throws ConfigError for an unknown name.
   */
  $shard(name: TShard): TDatabase;
  /**
   * The plain `drizzle(d1)` of the shard that owns a key. `keyspace` defaults to `default`.
   *
   * @throws ConfigError when the key is no text and no whole number.
   */
  $forKey(key: string | number | bigint, keyspace?: string): Promise<TDatabase>;
  /**
   * The same database for a request from a place: new keys of a `location` strategy go to the nearest shard.
   *
   * @param near `request.cf`, or a region code.
   * @example
   * const db = base.$near(request.cf);
   */
  $near(near: Region | Whereabouts | undefined): TDatabase & ShardedHelpers<TDatabase, TShard>;
  /**
   * The next id of a table's sequence: the one that an insert without an id would get.
   *
   * @throws ConfigError when the table's primary key is no INTEGER PRIMARY KEY.
   */
  $nextId(table: SQLiteTable | string): Promise<number>;
  /**
   * The same database for statements that ask all shards, with `scatter: 'explicit'`.
   *
   * @example
   * await db.$scatter.select().from(users).orderBy(users.name).limit(20);
   */
  readonly $scatter: TDatabase & ShardedHelpers<TDatabase, TShard>;
  /** Operations on the fleet of databases. */
  readonly $cluster: ClusterApi<TShard>;
  /**
   * How a query would be run: which shards, which SQL on each, how the rows are merged. Does not run it (a write that has
   * to look first does look).
   *
   * @example
   * console.log((await db.$explain(db.select().from(users).limit(20))).text);
   */
  $explain(query: Explainable): Promise<Explanation>;
  /**
   * One page of an ordered query, and a cursor to the next. Pages before it are not read again, and rows that are added or
   * deleted there shift nothing. Each shard gives at most LIMIT rows. Where ORDER BY leaves rows equal, their primary keys decide.
   *
   * @example
   * const query = db.select().from(users).orderBy(users.name).limit(20);
   * const { rows, next } = await db.$page(query, { after: url.searchParams.get('after') });
   *
   * @throws UnsupportedStatementError for a query without LIMIT, with OFFSET, DISTINCT, groups, UNION or window functions, from
   * a subquery, or of a table without primary key; CursorError for a cursor that is not of this query. Nothing has run then.
   */
  $page<TRow>(query: RowsQuery<TRow>, options?: PageOptions): Promise<Page<TRow>>;
  /**
   * All rows of a query one by one, in its order, or in that of the shard key, with one chunk of each shard in memory. A row
   * that nobody changes comes exactly once, also when its key moves to another shard meanwhile. A LIMIT counts all rows.
   *
   * @example
   * for await (const user of db.$stream(db.select().from(users).orderBy(users.id))) writer.write(JSON.stringify(user));
   *
   * @throws UnsupportedStatementError, with the first row, for what `$page` refuses, and where rows of several shard keys meet.
   */
  $stream<TRow>(query: RowsQuery<TRow>, options?: StreamOptions): AsyncGenerator<TRow, void, undefined>;
}

/** Drizzle's own database type, with the `$` helpers. */
export type ShardedDatabase<
  TSchema extends Record<string, unknown>,
  TShard extends string = string,
> = DrizzleD1Database<TSchema> & {
  $client: D1Database;
} & ShardedHelpers<DrizzleD1Database<TSchema> & { $client: D1Database }, TShard>;

/**
 * Typed Drizzle queries over many D1 databases as if they were one.
 *
 * @example
 * const db = shardedDrizzle({
 *   schema,
 *   shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST },
 *   tables: { posts: { key: 'userId' }, countries: { replicated: true } },
 * });
 * await db.select().from(users).where(eq(users.id, 'user-123'));
 *
 * @throws ConfigError when the configuration cannot work; the message says what to write.
 */
export function shardedDrizzle<
  TSchema extends Record<string, unknown> = Record<string, never>,
  TShard extends string = string,
  TRelations extends Record<string, unknown> = TSchema,
>(config: ShardedConfig<TSchema, TShard> & DrizzleOptions<TRelations>): ShardedDatabase<TRelations, TShard> {
  return build(createCluster(config as ShardedConfig), config);
}

function build<
  TSchema extends Record<string, unknown>,
  TShard extends string,
  TRelations extends Record<string, unknown>,
>(
  cluster: ReadyCluster,
  config: ShardedConfig<TSchema, TShard> & DrizzleOptions<TRelations>,
): ShardedDatabase<TRelations, TShard> {
  type Database = DrizzleD1Database<TRelations> & { $client: D1Database };
  const { schema, relations, logger, cache, casing } = config;
  const shared = defined({ schema, relations, logger, casing }) as unknown as Parameters<typeof drizzle<TRelations>>[1];
  const plain = new Map<string, Database>();

  const $shard = (name: string): Database => {
    const d1 = cluster.databases.get(name);
    if (!d1)
      throw new ConfigError(`There is no shard ${name}.`, {
        remedy: `Write one of: ${[...cluster.databases.keys()].join(', ')}.`,
      });
    const known = plain.get(name) ?? (drizzle(d1, shared) as Database);
    plain.set(name, known);
    return known;
  };
  const helpers: Omit<ShardedHelpers<Database, TShard>, '$scatter'> = {
    $shard,
    $forKey: async (key, keyspace = DEFAULT_KEYSPACE) => $shard(await ownerOf(cluster, keyspace, key)),
    $near: (near) => build(cluster.near(pointOf(near)), config),
    $nextId: (table) => nextId(cluster, typeof table === 'string' ? table : getTableName(table)),
    $cluster: clusterApi<TShard>(cluster),
    $explain: (query) => explain(cluster.scatter(), query, casing),
    $page: (query, options) => page(cluster, query, options),
    $stream: (query, options) => stream(cluster, query, options),
  };
  const withCache = defined({ ...shared, cache }) as typeof shared;
  const db = Object.assign(drizzle(new ShardedD1(cluster), withCache) as Database, helpers);
  // Made when asked for: it has one of its own.
  return Object.defineProperty(db, '$scatter', { get: () => build(cluster.scatter(), config) }) as ShardedDatabase<
    TRelations,
    TShard
  >;
}

/** Without the properties that are not given: Drizzle reads `undefined` as a value for some. */
const defined = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** Asks the key's shard itself: what is known of it here may be old. */
export async function ownerOf(
  { executor }: ReadyCluster,
  keyspace: string,
  key: string | number | bigint,
): Promise<string> {
  const canonical = canonicalKey(key, typeof key === 'string' ? 'text' : 'integer');
  if (typeof canonical !== 'string') {
    throw new ConfigError(`$forKey: ${String(key)} cannot be a shard key.`, {
      remedy: 'Give a text or a whole number.',
    });
  }
  return executor.accepted([], async (attempt) => {
    const [placed] = await attempt.place(keyspace, [canonical]);
    const { shard } = placed as PlacedKey;
    await executor.shards.guarded(demandOf(attempt, shard, [placed as PlacedKey], false), [], {
      tables: [],
      write: false,
    });
    return shard;
  });
}

async function nextId({ executor }: ReadyCluster, name: string): Promise<number> {
  const { planner, numbers } = executor.cluster;
  const { layout } = planner;
  if (!layout.find(name)) await executor.ask([name], name, await executor.attempt(false));
  const table = layout.find(name);
  if (table?.rowidAlias === undefined) {
    throw new ConfigError(`$nextId: ${name} has no INTEGER PRIMARY KEY.`, {
      tables: [name],
      remedy: 'Make an id of your own, for instance crypto.randomUUID().',
    });
  }
  const [id] = await numbers.ids(table.name, 1);
  return Number(id);
}

async function explain({ executor }: ReadyCluster, query: Explainable, casing: Casing): Promise<Explanation> {
  const statement = toText(query, casing);
  // New keys are not claimed: an explanation must not place them.
  const attempt = await executor.attempt(false);
  try {
    const { plan, route } = await executor.prepare(statement, attempt, 'objects');
    return explainRoute(route, plan.tables, queriesOf(route, executor.cluster.rehearseWrites));
  } catch (error) {
    throw error instanceof Doubt ? error.error : error;
  }
}

function toText(query: Explainable, casing: Casing): { sql: string; params: readonly unknown[] } {
  if ('toSQL' in query) return query.toSQL();
  if ('sql' in query && typeof query.sql === 'string') return { sql: query.sql, params: query.params ?? [] };
  return renderSql(query as SQLWrapper, casing);
}
