import type { ShardedConfig } from '../config';
import { createCluster } from '../execution/cluster';
import { type ShardedDatabase, shardedDrizzle } from '../sharded-drizzle';
import { type CollegeDBConfig, shardedConfigOf } from './config';
import { checkShard } from './errors';
import { KeyRecords } from './key-records';
import { KeyedStatement } from './keyed-statement';
import { type KVShardMapper, mapperOver } from './mapper';
import { reasonOf } from './tables';

type Bindings = readonly unknown[];

/** One shard, as CollegeDB's statistics name it. */
export interface ShardStats {
  binding: string;
  /** Keys with a row or a record there. */
  count: number;
  /** When it was counted, in milliseconds of Unix time. */
  lastUpdated: number;
}

/** A statement that belongs to a key. It is routed when it is run, so that it may be kept while rows move. */
export interface PreparedStatement {
  /** The same statement with values. */
  bind(...values: Bindings): PreparedStatement;
  /** Runs it. @throws KeyMismatchError when it names another key. */
  run<T = Record<string, unknown>>(): Promise<D1Result<T>>;
  /** The first row, or null. @throws KeyMismatchError when it names another key. */
  first<T = Record<string, unknown>>(): Promise<T | null>;
  /** All rows. @throws KeyMismatchError when it names another key. */
  all<T = Record<string, unknown>>(): Promise<D1Result<T>>;
}

/** CollegeDB's functions over one configuration, without global state, and typed queries over the same databases. */
export interface CollegeDB<
  TSchema extends Record<string, unknown> = Record<string, unknown>,
  TShard extends string = string,
> {
  readonly config: CollegeDBConfig<TSchema, TShard>;
  /** Typed Drizzle queries over the same rows. */
  readonly db: ShardedDatabase<TSchema, TShard>;
  readonly mapper: KVShardMapper;
  /** Makes the cluster, which each statement does when it has to, and scans databases that came with rows to the end. */
  ready(): Promise<void>;
  /** A statement of a key, for several runs. */
  prepare(key: string, sql: string, bindings?: Bindings): Promise<PreparedStatement>;
  /** Runs a statement on the shard of a key. @throws KeyMismatchError when it names another one. */
  run<T = Record<string, unknown>>(key: string, sql: string, bindings?: Bindings): Promise<D1Result<T>>;
  /** The first row, or null. @throws KeyMismatchError when the statement names another key. */
  first<T = Record<string, unknown>>(key: string, sql: string, bindings?: Bindings): Promise<T | null>;
  /** All rows of the key's shard. @throws KeyMismatchError when the statement names another key. */
  all<T = Record<string, unknown>>(key: string, sql: string, bindings?: Bindings): Promise<D1Result<T>>;
  /**
   * Moves every row of a key, in all tables, to another shard.
   *
   * @param tableName CollegeDB's third argument. All tables of the key move, whatever it says.
   * @throws CollegeDBError `SHARD_NOT_FOUND`, `MAPPING_NOT_FOUND`; else as `$cluster.reassign`.
   */
  reassignShard(primaryKey: string, newBinding: string, tableName?: string): Promise<void>;
  /** The shards of the cluster. */
  listKnownShards(): Promise<string[]>;
  /** How many keys each shard has. Reads every key: for a dashboard. */
  getShardStats(): Promise<ShardStats[]>;
  /** Forgets what is cached and CollegeDB's KV records. No row is touched, and no key changes place. */
  flush(): Promise<void>;
}

/**
 * CollegeDB's functions bound to one configuration. Make it once per request, or once per isolate.
 *
 * @example
 * const { run, first, db } = createCollegeDB({ kv: env.KV, shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST }, schema });
 * await run('user-1', 'INSERT INTO users (id, name) VALUES (?, ?)', ['user-1', 'Ada']);
 * await db.select().from(users).where(eq(users.id, 'user-1'));
 * @throws CollegeDBError `NO_SHARDS`; ConfigError for what else cannot work.
 */
export function createCollegeDB<
  TSchema extends Record<string, unknown> = Record<string, unknown>,
  TShard extends string = string,
>(config: CollegeDBConfig<TSchema, TShard>): CollegeDB<TSchema, TShard> {
  const sharded = shardedConfigOf(config);
  const cluster = createCluster(sharded as ShardedConfig);
  const db = shardedDrizzle<TSchema, TShard>(sharded);
  const records = new KeyRecords(cluster, config.kv, config.cluster ?? 'default');
  const { hashShardMappings = true } = config;
  const mapper = mapperOver(records, { hashShardMappings });

  const statement = (key: string, sql: string, bindings: Bindings): PreparedStatement =>
    new KeyedStatement(cluster, String(key), sql, bindings);
  const names = async () => {
    const { routing } = await cluster.executor.attempt(false);
    return [...routing.shards];
  };
  return {
    config,
    db,
    mapper,
    ready: async () => {
      await names();
      // A coordinator scans by itself.
      if (config.disableAutoMigration || config.coordinator) return;
      // Rows are found without it.
      await records.adopt().catch((error: unknown) => console.warn(`The scan has stopped: ${reasonOf(error)}`));
    },
    prepare: async (key, sql, bindings = []) => {
      cluster.executor.checkText(sql);
      return statement(key, sql, bindings);
    },
    run: async <T>(key: string, sql: string, bindings: Bindings = []) => statement(key, sql, bindings).run<T>(),
    first: async <T>(key: string, sql: string, bindings: Bindings = []) => statement(key, sql, bindings).first<T>(),
    all: async <T>(key: string, sql: string, bindings: Bindings = []) => statement(key, sql, bindings).all<T>(),
    reassignShard: async (primaryKey, newBinding) => {
      checkShard(newBinding, cluster.databases.keys());
      await mapper.updateShardMapping(primaryKey, newBinding);
    },
    listKnownShards: names,
    getShardStats: async () => {
      const counts = await records.counts();
      const lastUpdated = Date.now();
      return Object.entries(counts).map(([binding, count]) => ({ binding, count, lastUpdated }));
    },
    flush: () => mapper.clearAllMappings(),
  };
}
