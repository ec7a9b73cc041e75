import * as schema from '../schema';
import { type ShardedConfig, shardedDrizzle } from '../src';
import type { Bindings } from './bindings';

type Options = Pick<ShardedConfig, 'onQuery' | 'rehearseWrites'>;

/** The three databases as one. Everything below this line of the example is ordinary Drizzle. */
export function openDatabase(env: Bindings, options: Options = {}) {
  return shardedDrizzle({
    schema,
    shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST, 'db-central': env.DB_CENTRAL },
    tables: {
      // users and cities need no rule: their primary key is the shard key.
      visits: { key: 'userId' },
      countries: { replicated: true },
    },
    kv: env.KV,
    coordinator: env.SHARD_COORDINATOR,
    ...options,
  });
}

export type Database = ReturnType<typeof openDatabase>;

/** The names of the shards, as `$shard` takes them. */
export const shardNames = async (db: Database) => (await db.$cluster.shards()).map(({ name }) => name);
