import type { CoordinatorNamespace } from '../catalog/coordinator-client';
import type { DrizzleOptions, ShardedConfig } from '../config';
import type { MigrationBundle } from '../migrations/bundle';
import type { ShardedDatabase } from '../sharded-drizzle';
import type { Calls } from './calls';
import type { ShardName, ShardsOption } from './names';
import type { TestShard } from './test-shard';

/** What `testCluster` takes: the configuration of `shardedDrizzle`, without the bindings. */
export interface TestClusterOptions<
  TSchema extends Record<string, unknown>,
  TShards extends ShardsOption,
  TRelations extends Record<string, unknown> = TSchema,
> extends Omit<ShardedConfig<TSchema, ShardName<TShards>>, 'shards' | 'kv' | 'coordinator' | 'migrations'>,
    DrizzleOptions<TRelations> {
  /**
   * How many shards, which are `shard-0`, `shard-1`, ..., or their names. In workerd also the databases by name:
   * `{ 'db-east': env.DB_1 }`; a name alone means the binding of that name, `db-east` means `env.DB_EAST`.
   */
  shards: TShards;
  /**
   * Applied to every shard, at the beginning and by `reset`: what drizzle-kit bundles, or in Node its folder. In workerd,
   * by default what `shardBindings` was given.
   */
  migrations?: MigrationBundle | string;
  /** Puts rows there after the migrations, at the beginning and by `reset`. */
  seed?: (db: ShardedDatabase<TRelations, ShardName<TShards>>) => unknown;
  /** False: without KV. In workerd a namespace is taken too. Default: one of its own in Node, `env.KV` in workerd. */
  kv?: boolean | KVNamespace;
  /**
   * False: the catalog is in a database. In workerd a namespace is taken too. Default: one of its own in Node,
   * `env.SHARD_COORDINATOR` in workerd.
   */
  coordinator?: boolean | CoordinatorNamespace;
  /** Workerd only: where the bindings are, when not in the Worker's own `env`. */
  env?: object;
}

/** What `shardedDrizzle` takes, for an application that makes its own `db`. */
export interface TestBindings<TShard extends string> {
  readonly shards: Record<TShard, D1Database>;
  readonly kv?: KVNamespace;
  readonly coordinator?: CoordinatorNamespace;
  readonly cluster: string;
}

/** A cluster on real databases, for one test or many. */
export interface TestCluster<TSchema extends Record<string, unknown>, TShard extends string> extends AsyncDisposable {
  /** What `shardedDrizzle` makes. It stays the same object over `reset`. */
  readonly db: ShardedDatabase<TSchema, TShard>;
  readonly shards: { readonly [Name in TShard]: TestShard<Name> };
  /** The round trips to the shards. */
  readonly calls: Calls<TShard>;
  /**
   * The bindings, with faults and latency, as an isolate of its own sees them. Take them again after `reset`.
   *
   * @example
   * const app = createApp(shardedDrizzle({ schema, ...cluster.bindings }));
   */
  readonly bindings: TestBindings<TShard>;
  /**
   * The shard that owns a key, to put a fault there. It asks the shard, which `calls` counts.
   *
   * @param keyspace Default `default`.
   * @example
   * (await cluster.shardOf('user-1')).fail({ on: 'update', when: 'after' });
   * @throws ConfigError when the key is no text and no whole number.
   */
  shardOf(key: string | number | bigint, keyspace?: string): Promise<TestShard<TShard>>;
  /** Ends all faults and latency. */
  heal(): void;
  /** Heals, drops all tables, forgets where keys were, migrates and seeds again: for `beforeEach`. */
  reset(): Promise<void>;
  /** Heals, and in Node ends the runtime: the same as `await using`, for `afterAll`. */
  dispose(): Promise<void>;
}
