import type { ShardedConfig } from './config';
import { createCluster } from './execution/cluster';
import { ShardedDatabase } from './execution/database';

/**
 * Several D1 databases behind the interface of one. Works under any Drizzle, and under code that uses D1 directly.
 *
 * @example
 * const d1 = shardedD1({ schema, shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST } });
 * await d1.prepare('select * from users where id = ?').bind('user-123').first();
 *
 * @throws ConfigError when the configuration cannot work.
 */
export function shardedD1<TSchema extends Record<string, unknown>, TShard extends string>(
  config: ShardedConfig<TSchema, TShard>,
): D1Database {
  return new ShardedDatabase(createCluster(config as ShardedConfig));
}
