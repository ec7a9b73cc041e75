import type { DrizzleOptions, ShardedConfig } from '../config';
import { ConfigError } from '../errors';
import type { MigrationBundle } from '../migrations/bundle';
import { migrateShards } from '../migrations/migrate-shards';
import { type ShardedDatabase, shardedDrizzle } from '../sharded-drizzle';
import type { Backend } from './backend';
import { Calls } from './calls';
import { following } from './following';
import type { ShardName, ShardsOption } from './names';
import type { TestBindings, TestCluster, TestClusterOptions } from './options';
import { TestShard } from './test-shard';

/**
 * A test cluster over a backend, which it disposes of when it cannot be made.
 *
 * @throws Whatever the configuration, the migrations or the seed meet.
 */
export async function openCluster<
  TSchema extends Record<string, unknown>,
  TShards extends ShardsOption,
  TRelations extends Record<string, unknown>,
>(
  backend: Backend,
  options: TestClusterOptions<TSchema, TShards, TRelations>,
  migrations: MigrationBundle | undefined,
): Promise<TestCluster<TRelations, ShardName<TShards>>> {
  const cluster = new OpenCluster(backend, options, migrations);
  try {
    await cluster.reset();
  } catch (error) {
    await backend.dispose();
    throw error;
  }
  return cluster;
}

class OpenCluster<
  TSchema extends Record<string, unknown>,
  TShards extends ShardsOption,
  TRelations extends Record<string, unknown>,
> implements TestCluster<TRelations, ShardName<TShards>>
{
  readonly calls = new Calls<ShardName<TShards>>();
  readonly shards: { readonly [Name in ShardName<TShards>]: TestShard<Name> };
  readonly db = following(() => this.#newest());
  readonly #backend: Backend;
  readonly #options: TestClusterOptions<TSchema, TShards, TRelations>;
  readonly #migrations: MigrationBundle | undefined;
  readonly #list: readonly TestShard<ShardName<TShards>>[];
  #isolate: Isolate<TRelations, ShardName<TShards>> | undefined;

  constructor(
    backend: Backend,
    options: TestClusterOptions<TSchema, TShards, TRelations>,
    migrations: MigrationBundle | undefined,
  ) {
    this.#backend = backend;
    this.#options = options;
    this.#migrations = migrations;
    this.#list = Object.entries(backend.databases).map(
      ([name, database]) => new TestShard(name as ShardName<TShards>, database),
    );
    this.shards = byName(this.#list, (shard) => shard) as typeof this.shards;
  }

  get bindings(): TestBindings<ShardName<TShards>> {
    return this.#opened().bindings;
  }

  async shardOf(key: string | number | bigint, keyspace?: string): Promise<TestShard<ShardName<TShards>>> {
    const { db, bindings } = this.#opened();
    const { $client } = await db.$forKey(key, keyspace);
    const found = this.#list.find(({ name }) => bindings.shards[name] === $client);
    if (found) return found;
    throw new ConfigError(`No shard of the test cluster owns ${String(key)}.`);
  }

  heal(): void {
    for (const shard of this.#list) shard.heal();
  }

  async reset(): Promise<void> {
    this.heal();
    await this.#backend.empty(this.#options.cluster ?? 'default');
    const isolate = this.#newIsolate();
    this.#isolate = isolate;
    // First contact, so that the calls of a test are its own.
    await isolate.db.$cluster.shards();
    if (this.#migrations) await migrateShards(isolate.db, this.#migrations);
    await this.#options.seed?.(isolate.db);
    this.calls.clear();
  }

  async dispose(): Promise<void> {
    this.heal();
    await this.#backend.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #newest(): ShardedDatabase<TRelations, ShardName<TShards>> {
    return this.#opened().db;
  }

  #opened(): Isolate<TRelations, ShardName<TShards>> {
    if (this.#isolate) return this.#isolate;
    throw new ConfigError('The test cluster has not been opened.');
  }

  /** What is remembered of a cluster hangs on the binding of its catalog: with new ones, nothing is. */
  #newIsolate(): Isolate<TRelations, ShardName<TShards>> {
    const {
      shards: _shards,
      migrations: _migrations,
      seed: _seed,
      kv: _kv,
      coordinator: _coordinator,
      env: _env,
      ...config
    } = this.#options;
    const { kv, coordinator } = this.#backend;
    const bindings: TestBindings<ShardName<TShards>> = {
      cluster: this.#options.cluster ?? 'default',
      shards: byName(this.#list, (shard) =>
        shard.binding((call) => this.calls.log.push({ ...call, shard: shard.name })),
      ),
      ...(kv ? { kv } : {}),
      ...(coordinator
        ? { coordinator: { idFromName: (name) => coordinator.idFromName(name), get: (id) => coordinator.get(id) } }
        : {}),
    };
    type Config = ShardedConfig<TSchema, ShardName<TShards>> & DrizzleOptions<TRelations>;
    return {
      bindings,
      db: shardedDrizzle<TSchema, ShardName<TShards>, TRelations>({ ...config, ...bindings } as Config),
    };
  }
}

interface Isolate<TSchema extends Record<string, unknown>, TShard extends string> {
  readonly bindings: TestBindings<TShard>;
  readonly db: ShardedDatabase<TSchema, TShard>;
}

const byName = <TShard extends string, T>(
  shards: readonly TestShard<TShard>[],
  make: (shard: TestShard<TShard>) => T,
): Record<TShard, T> => Object.fromEntries(shards.map((shard) => [shard.name, make(shard)])) as Record<TShard, T>;
