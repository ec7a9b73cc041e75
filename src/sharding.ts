import type { ShardedConfig } from './config';
import { ConfigError } from './errors';
import type { HintNamespace } from './placement/hint-store';

type Bound = 'shards' | 'kv' | 'coordinator';

/**
 * The configuration with the names of bindings where {@link ShardedConfig} has the bindings themselves, so that the Worker and
 * the command line share one file.
 */
export interface Sharding<
  TSchema extends Record<string, unknown> = Record<string, unknown>,
  TShard extends string = string,
  TDatabase extends string = string,
  TKv extends string = string,
  TCoordinator extends string = string,
> extends Omit<ShardedConfig<TSchema, TShard>, Bound> {
  /** The name of each shard, and the binding of its D1 in wrangler's configuration. */
  shards: Record<TShard, TDatabase>;
  /** The binding of the KV namespace. */
  kv?: TKv;
  /** The binding of the Durable Object `ShardCoordinator`. */
  coordinator?: TCoordinator;
}

type CoordinatorBinding = NonNullable<ShardedConfig['coordinator']>;

/** What the environment of the Worker has to bind. */
export type ShardingEnv<TDatabase extends string, TKv extends string, TCoordinator extends string> = {
  [Binding in TDatabase]: D1Database;
} & { [Binding in TKv]: HintNamespace } & { [Binding in TCoordinator]: CoordinatorBinding };

/**
 * What the Worker and the command line have to know of the cluster. Write it to `sharded.config.ts`, as its default export.
 *
 * @example
 * export default defineSharding({
 *   schema,
 *   shards: { 'db-east': 'DB_EAST', 'db-west': 'DB_WEST' },
 *   tables: { posts: { key: 'userId' }, countries: { replicated: true } },
 *   coordinator: 'SHARD_COORDINATOR',
 * });
 */
export function defineSharding<
  TSchema extends Record<string, unknown>,
  TShard extends string,
  TDatabase extends string,
  TKv extends string = never,
  TCoordinator extends string = never,
>(
  sharding: Sharding<TSchema, TShard, TDatabase, TKv, TCoordinator>,
): Sharding<TSchema, TShard, TDatabase, TKv, TCoordinator> {
  return sharding;
}

/**
 * The configuration of `shardedDrizzle` with the bindings of an environment.
 *
 * @example
 * import sharding from '../sharded.config';
 * const db = shardedDrizzle(bindSharding(sharding, env));
 * @throws ConfigError when a binding is not there.
 */
export function bindSharding<
  TSchema extends Record<string, unknown>,
  TShard extends string,
  TDatabase extends string,
  TKv extends string = never,
  TCoordinator extends string = never,
>(
  sharding: Sharding<TSchema, TShard, TDatabase, TKv, TCoordinator>,
  env: ShardingEnv<TDatabase, NoInfer<TKv>, NoInfer<TCoordinator>>,
): ShardedConfig<TSchema, TShard> {
  const { shards, kv, coordinator, ...rest } = sharding;
  const bindings = env as Readonly<Record<string, unknown>>;
  const bound = <T>(binding: string): T => {
    const found = bindings[binding];
    if (found !== undefined && found !== null) return found as T;
    throw new ConfigError(`The environment has no binding ${binding}.`, {
      remedy: "Is it in wrangler's configuration, for this environment?",
    });
  };
  const databases = Object.entries<string>(shards).map(([shard, binding]) => [shard, bound<D1Database>(binding)]);
  return {
    ...(rest as Omit<ShardedConfig<TSchema, TShard>, Bound>),
    shards: Object.fromEntries(databases) as Record<TShard, D1Database>,
    ...(kv === undefined ? {} : { kv: bound<HintNamespace>(kv) }),
    ...(coordinator === undefined ? {} : { coordinator: bound<CoordinatorBinding>(coordinator) }),
  };
}
