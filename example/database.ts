import sharding from '../sharded.config';
import { bindSharding, type ShardedConfig, shardedDrizzle } from '../src';
import type { Bindings } from './bindings';

type Options = Pick<ShardedConfig, 'onQuery' | 'rehearseWrites'>;

/** The three databases as one. Everything below this line of the example is ordinary Drizzle. */
export function openDatabase(env: Bindings, options: Options = {}) {
  return shardedDrizzle({ ...bindSharding(sharding, env), ...options });
}

export type Database = ReturnType<typeof openDatabase>;

/** The names of the shards, as `$shard` takes them. */
export const shardNames = async (db: Database) => (await db.$cluster.shards()).map(({ name }) => name);
