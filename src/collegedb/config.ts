import type { DrizzleOptions, ShardedConfig } from '../config';
import type { Strategy } from '../placement/strategies';
import { CollegeDBError } from './errors';

/** CollegeDB's strategies for the first read and the first write of a key. A read places nothing here: `write` decides. */
export interface MixedStrategy {
  readonly read: Strategy;
  readonly write: Strategy;
}

/**
 * CollegeDB's configuration, and with it everything that `shardedDrizzle` takes: `schema`, `tables`, `cluster`, ...
 *
 * @example
 * const config: CollegeDBConfig = {
 *   kv: env.KV,
 *   coordinator: env.SHARD_COORDINATOR,
 *   shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST },
 *   strategy: 'hash',
 *   tables: { posts: { key: 'user_id' } },
 * };
 */
export interface CollegeDBConfig<
  TSchema extends Record<string, unknown> = Record<string, unknown>,
  TShard extends string = string,
> extends Omit<ShardedConfig<TSchema, TShard>, 'kv' | 'strategy'>,
    DrizzleOptions<TSchema> {
  /** Holds the shard map and hints where keys are; and CollegeDB's own records, for `importCollegeDBMappings`. */
  kv: KVNamespace;
  /** Default `hash`. `location` without `shardLocations` is `hash`, as in CollegeDB. */
  strategy?: Strategy | MixedStrategy;
  /**
   * Rows that were in the databases before are found from the first statement on, whatever this says. Without it
   * `initializeAsync` and `collegedb` also scan the databases to the end, so that keys need not be looked for; with it, or with
   * `initialize` alone, the coordinator does, or `db.$cluster.adopt()`.
   */
  disableAutoMigration?: boolean;
  /** CollegeDB's KV records are under the SHA-256 of their key. Default true. Without a cluster, and for imports. */
  hashShardMappings?: boolean;
}

/** The configuration of the cluster behind it. @throws CollegeDBError for one without databases. */
export function shardedConfigOf<TSchema extends Record<string, unknown>, TShard extends string>(
  config: CollegeDBConfig<TSchema, TShard>,
): ShardedConfig<TSchema, TShard> & DrizzleOptions<TSchema> {
  if (Object.keys(config.shards ?? {}).length === 0) {
    throw new CollegeDBError("`shards` names no database. Write shards: { 'db-east': env.DB_EAST }.", 'NO_SHARDS');
  }
  const { disableAutoMigration, hashShardMappings, strategy, ...rest } = config;
  return { ...rest, strategy: strategyOf(strategy, config.shardLocations) };
}

function strategyOf(strategy: CollegeDBConfig['strategy'], locations: object | undefined): Strategy {
  const chosen = (typeof strategy === 'object' ? strategy.write : strategy) ?? 'hash';
  return chosen === 'location' && Object.keys(locations ?? {}).length === 0 ? 'hash' : chosen;
}
