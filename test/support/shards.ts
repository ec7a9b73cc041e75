import { env } from 'cloudflare:workers';
import { InterceptedD1 } from './intercepted-d1';

const databases: readonly D1Database[] = [env.DB_0, env.DB_1, env.DB_2, env.DB_3, env.DB_4, env.DB_5, env.DB_6];

/** A binding of its own: what an isolate remembers of a cluster hangs on the binding of its catalog. */
const freshBindings = () => databases.map((database) => new InterceptedD1(database, (_call, run) => run()));

let bindings: readonly D1Database[] = freshBindings();

/** After this, clusters over the databases are new ones, as if in another isolate. */
export function renewShards(): void {
  bindings = freshBindings();
}

export const MAX_SHARDS = databases.length;

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
