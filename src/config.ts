import type { Logger } from 'drizzle-orm';
import type { Cache } from 'drizzle-orm/cache/core';
import type { SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { CoordinatorNamespace } from './catalog/coordinator-client';
import type { MigrationBundle } from './migrations/bundle';
import type { HintNamespace } from './placement/hint-store';
import type { Region } from './placement/regions';
import type { Strategy } from './placement/strategies';

/** The tables among the exports of a Drizzle schema. */
type TableNames<TSchema> = { [K in keyof TSchema]: TSchema[K] extends SQLiteTable ? K : never }[keyof TSchema];
type ColumnNames<TTable> = TTable extends SQLiteTable ? Extract<keyof TTable['_']['columns'], string> : string;

/**
 * Where the rows of one table live. Without a rule, the single-column primary key is the shard key.
 *
 * @example
 * { key: 'userId' }        // with the row of another table that has this key
 * { replicated: true }     // whole on every shard
 * { shard: 'db-east' }     // whole on one shard
 */
export type TableRule<TColumn extends string = string, TShard extends string = string> =
  | { key?: TColumn; keyspace?: string; replicated?: never; shard?: never }
  | { replicated: true; key?: never; keyspace?: never; shard?: never }
  | { shard: TShard; key?: never; keyspace?: never; replicated?: never };

/** Rules by the schema's own names; without a schema, by the names in the database. */
export type TableRules<TSchema extends Record<string, unknown>, TShard extends string> = string extends keyof TSchema
  ? Record<string, TableRule<string, TShard>>
  : { [K in TableNames<TSchema>]?: TableRule<ColumnNames<TSchema[K]>, TShard> };

/** Where a database is, for the strategy `location`. */
export interface ShardLocation {
  region: Region;
  /** Its share of new keys among the shards of one region, relative to theirs. Default 1. */
  priority?: number;
}

/** How much one statement may take. */
export interface Limits {
  /**
   * D1 queries of one statement or batch, each statement that is sent to a shard counted. Default 900: Cloudflare allows
   * 1,000 in an invocation of a Worker, and 50 on the free plan.
   */
  queries?: number;
  /** Rows fetched from all shards together. Default 250,000. */
  gatherRows?: number;
  /** Characters of JSON fetched from all shards together. Default 24 Mi: a Worker has 128 MB. */
  gatherBytes?: number;
}

/** One finished statement, as `onQuery` is told of it. */
export interface QueryEvent {
  sql: string;
  params: readonly unknown[];
  /** How it was run: `single`, `scatter`, `gather`, `insert`, `broadcast`, ... */
  kind: string;
  /** The shards that were asked; of a `gather`, those that may have been: which ones rows name is not known before. */
  shards: readonly string[];
  durationMs: number;
  error?: unknown;
}

/**
 * The configuration of `shardedDrizzle` and `shardedD1`.
 *
 * @example
 * shardedDrizzle({
 *   schema,
 *   shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST },
 *   tables: { posts: { key: 'userId' }, countries: { replicated: true } },
 * });
 */
export interface ShardedConfig<
  TSchema extends Record<string, unknown> = Record<string, unknown>,
  TShard extends string = string,
> {
  /** The Drizzle schema, as for `drizzle()`. Tables that are not in it are asked of the database when first seen. */
  schema?: TSchema;
  /**
   * The databases by name. First contact spreads the slots over them; one that is added later is registered, and gets new
   * keys of every strategy but `hash`.
   */
  shards: Record<TShard, D1Database>;
  /** Holds the shard map and hints where keys are, so that a new isolate does not have to ask the catalog. */
  kv?: HintNamespace;
  /** The Durable Object that holds the catalog: export `ShardCoordinator` from the Worker and bind it. */
  coordinator?: CoordinatorNamespace;
  /** Without a coordinator: the shard whose database holds the catalog. Default: the first one. Never change it. */
  control?: NoInfer<TShard>;
  /** Tells clusters apart that share a KV namespace or a coordinator's namespace. Default `default`. Never change it. */
  cluster?: string;
  /** Where each table's rows live. */
  tables?: NoInfer<TableRules<TSchema, TShard>>;
  /**
   * How new keys find their shard, for all keyspaces or by keyspace. Default `hash`. May be changed: keys that are there keep
   * their shard.
   *
   * - `hash`: by the key's slot; nothing is looked up or stored
   * - `round-robin`: the shards take turns
   * - `random`: by the shards' weights
   * - `location`: the shard nearest to `targetRegion`, or to where the request comes from: `db.$near(request.cf)`
   * - a function `(key, shards) => name`
   */
  strategy?: Strategy | Record<string, Strategy>;
  /** Where the databases are. */
  shardLocations?: NoInfer<{ [K in TShard]?: Region | ShardLocation }>;
  /** What new keys of a `location` strategy shall be near to, unless `$near` says otherwise. */
  targetRegion?: Region;
  /** Shares of the slots at first contact, and of `random` keys, relative to each other. Default 1 each. */
  shardWeights?: NoInfer<{ [K in TShard]?: number }>;
  /** How long a statement waits for rows that are being moved, in milliseconds. Default 10,000. */
  moveTimeout?: number;
  /**
   * How a keyspace begins whose rows databases of `shards` came with. They answer from the first query on, whatever this says.
   *
   * - `own`: the one database that has rows gets all slots; nothing is looked up or stored for a key. `db.$cluster.rebalance()`
   *   spreads them later. An error where several databases have rows
   * - `records`: the slots are spread over all databases, and a record for each key says where it is
   * - `auto` (default): `own` where one database has rows, `records` where several have
   */
  adopt?: 'auto' | 'own' | 'records';
  /**
   * What becomes of your triggers when rows are moved: `fire` runs them for the rows that leave one database and arrive in
   * another (full-text tables and counters need that), `silent` does not (logs). One answer for all, or one for each
   * trigger by its name. A move of tables with a trigger that has no answer is refused.
   */
  moveTriggers?: 'fire' | 'silent' | Record<string, 'fire' | 'silent'>;
  /**
   * Repeat a write whose answer was lost without the risk of applying it twice. Default false. It costs each write two or
   * three more rows written, in the same round trip.
   */
  exactlyOnce?: boolean;
  /** Statements in flight at a time, per statement of yours. Default 6: Workers open that many connections at once. */
  concurrency?: number;
  /**
   * `explicit`: a read or write that no condition confines to shard keys is a `ScatterError`, unless it is made through
   * `db.$scatter`. Default `allow`: it asks all shards.
   */
  scatter?: 'allow' | 'explicit';
  /** A batch that writes to several shards: refuse it (default), or run one atomic batch on each. */
  crossShardBatch?: 'refuse' | 'per-shard';
  /**
   * Try a write to several shards on each of them first, rolled back, so that what a constraint refuses nobody has written.
   * Default true. It costs such writes a second round trip; writes to one shard never pay. Bulk loads may turn it off.
   */
  rehearseWrites?: boolean;
  limits?: Limits;
  /** The migrations that this code was written for: the bundle that `migrateShards` takes. For `schemaCheck`. */
  migrations?: MigrationBundle;
  /**
   * Refuse a shard that lacks the newest of `migrations`, with a `SchemaBehindError` before anything is run there, instead of
   * failing in the midst of a query. Default false. Each isolate asks each shard once, in the round trip of its first statement.
   */
  schemaCheck?: boolean;
  /** Called after each statement. Keep it cheap; it may not throw. */
  onQuery?: (event: QueryEvent) => void;
  /** As for `drizzle()`: column names derived from property names. */
  casing?: 'snake_case' | 'camelCase';
}

/** What `shardedDrizzle` passes on to `drizzle()` untouched. */
export interface DrizzleOptions<TRelations> {
  /** Drizzle 1.0: the result of `defineRelations`. */
  relations?: TRelations;
  logger?: boolean | Logger;
  cache?: Cache;
}
