import { env } from 'cloudflare:workers';

const bindings: readonly D1Database[] = [env.DB_0, env.DB_1, env.DB_2, env.DB_3, env.DB_4, env.DB_5, env.DB_6];

export const MAX_SHARDS = bindings.length;

/** The one database that results over many shards are compared with. */
export const plain: D1Database = env.DB_PLAIN;

/**
 * The first `count` shard databases, named `s0`, `s1`, ...
 *
 * @example
 * const db = shardedDrizzle({ schema, shards: shards(3) });
 */
export function shards(count: number): Record<string, D1Database> {
  if (!Number.isInteger(count) || count < 1 || count > MAX_SHARDS) {
    throw new RangeError(`There are 1 to ${MAX_SHARDS} shard databases, not ${count}.`);
  }
  return Object.fromEntries(bindings.slice(0, count).map((database, index) => [`s${index}`, database]));
}
