import type { SQLWrapper } from 'drizzle-orm';
import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1';
import type { DrizzleOptions, ShardedConfig } from './config';
import { ConfigError } from './errors';
import { createCluster, type ReadyCluster } from './execution/cluster';
import { ShardedDatabase as ShardedD1 } from './execution/database';
import { type Explanation, explainRoute } from './execution/explain';
import { type ClusterStats, clusterStats } from './execution/stats';
import type { Casing } from './layout/column-name';
import { DEFAULT_KEYSPACE } from './layout/placement-rules';
import { renderSql } from './layout/render-sql';
import { canonicalKey } from './placement/key';

/** A statement as text and values. */
export interface SqlText {
  sql: string;
  params?: readonly unknown[];
}

/** What can be explained: a Drizzle query, `sql`, or text with values. */
export type Explainable = { toSQL(): { sql: string; params: unknown[] } } | SQLWrapper | SqlText;

/** Operations on the fleet of databases. */
export interface ClusterApi<TShard extends string = string> {
  /** The databases, in the order of the configuration. */
  shards(): { name: TShard }[];
  /**
   * Rows and keys of the schema's tables on each shard, the size of each database, and its share of the slots. Reads every
   * row once: for a dashboard, not for each request.
   *
   * @throws ShardQueryError when a shard does not answer, or lacks a table.
   */
  stats(): Promise<ClusterStats>;
}

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
  type Database = DrizzleD1Database<TRelations> & { $client: D1Database };
  const cluster = createCluster(config as ShardedConfig);
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
  const helpers: ShardedHelpers<Database, TShard> = {
    $shard,
    $forKey: async (key, keyspace = DEFAULT_KEYSPACE) => $shard(await ownerOf(cluster, keyspace, key)),
    $cluster: {
      shards: () => [...cluster.databases.keys()].map((name) => ({ name: name as TShard })),
      stats: () => clusterStats(cluster.executor),
    },
    $explain: (query) => explain(cluster, query, casing),
  };
  const withCache = defined({ ...shared, cache }) as typeof shared;
  return Object.assign(drizzle(new ShardedD1(cluster), withCache) as Database, helpers);
}

/** Without the properties that are not given: Drizzle reads `undefined` as a value for some. */
const defined = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

function ownerOf(cluster: ReadyCluster, keyspace: string, key: string | number | bigint): string | Promise<string> {
  const canonical = canonicalKey(key, typeof key === 'string' ? 'text' : 'integer');
  if (typeof canonical !== 'string') {
    throw new ConfigError(`$forKey: ${String(key)} cannot be a shard key.`, {
      remedy: 'Give a text or a whole number.',
    });
  }
  return cluster.executor.cluster.placement.ownerOf(keyspace, canonical);
}

async function explain({ executor }: ReadyCluster, query: Explainable, casing: Casing): Promise<Explanation> {
  const statement = toText(query, casing);
  const { plan, route } = await executor.prepare(statement);
  return explainRoute(route, plan.tables);
}

function toText(query: Explainable, casing: Casing): { sql: string; params: readonly unknown[] } {
  if ('toSQL' in query) return query.toSQL();
  if ('sql' in query && typeof query.sql === 'string') return { sql: query.sql, params: query.params ?? [] };
  return renderSql(query as SQLWrapper, casing);
}
