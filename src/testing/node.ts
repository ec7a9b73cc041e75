import { readMigrationsFolder } from '../in-node/migrations-folder';
import type { ShardName, ShardsOption } from './names';
import { nodeBackend } from './node/backend';
import { openCluster } from './open';
import type { TestCluster, TestClusterOptions } from './options';

export * from './index';

/** In Node; what it is and does is documented beside the one for workerd, whose type it has. */
export async function testCluster<
  const TShards extends ShardsOption,
  TSchema extends Record<string, unknown> = Record<string, never>,
  TRelations extends Record<string, unknown> = TSchema,
>(options: TestClusterOptions<TSchema, TShards, TRelations>): Promise<TestCluster<TRelations, ShardName<TShards>>> {
  const { migrations } = options;
  const bundle = typeof migrations === 'string' ? readMigrationsFolder(migrations) : migrations;
  return openCluster(await nodeBackend(options), options, bundle);
}
