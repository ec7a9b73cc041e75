import { ConfigError } from '../errors';
import type { MigrationBundle } from '../migrations/bundle';
import type { ShardName, ShardsOption } from './names';
import { openCluster } from './open';
import type { TestCluster, TestClusterOptions } from './options';
import { workerdBackend } from './workerd-backend';

export * from './index';

/**
 * Shards, KV and coordinator for tests, migrated, in one call: in Node it starts a runtime of its own, in workerd it takes
 * the bindings that `shardBindings` of `sharded-drizzle/testing/config` makes. All of it is the real thing.
 *
 * @example
 * await using cluster = await testCluster({ shards: 3, schema, migrations: './drizzle' });
 * const { db } = cluster;
 * cluster.shards['shard-0'].fail({ on: /insert into "users"/, times: 1, when: 'after' });
 * @throws ConfigError when the configuration cannot work, a binding is missing, or in Node, Miniflare is.
 * @throws MigrationFailedError, MigrationRefusedError as `migrateShards`.
 */
export async function testCluster<
  const TShards extends ShardsOption,
  TSchema extends Record<string, unknown> = Record<string, never>,
  TRelations extends Record<string, unknown> = TSchema,
>(options: TestClusterOptions<TSchema, TShards, TRelations>): Promise<TestCluster<TRelations, ShardName<TShards>>> {
  const { backend, migrations } = workerdBackend(options);
  return openCluster(backend, options, bundleOf(options.migrations ?? migrations));
}

function bundleOf(migrations: MigrationBundle | string | undefined): MigrationBundle | undefined {
  if (typeof migrations !== 'string') return migrations;
  throw new ConfigError(`There is no folder ${migrations} in workerd, which has no files.`, {
    remedy: "Pass it to shardBindings({ shards, migrations }) of 'sharded-drizzle/testing/config', or pass the bundle.",
  });
}
