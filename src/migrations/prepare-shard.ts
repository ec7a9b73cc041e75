import { ConfigError, ShardIdentityError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { SchemaHold } from '../execution/schema-hold';
import { Refusal } from '../placement/signals';
import { identityCheck } from '../placement/system-tables';
import { type MigrationBundle, readMigrations } from './bundle';
import { heldRefusal, MigrationRefusedError } from './errors';
import { type HashedFolder, withHashes } from './hashed';
import { ledgerOf, type RunOnShard } from './ledger';
import { planShard, type ShardPlan } from './plan';
import { askShards, readingOf } from './shards';
import { shardBatch } from './statements';

/**
 * Gives a database that is to join the cluster the migrations that the others have, before any router hears of it: one without
 * its tables must not own a key. Those that the others lack as well are for `migrateShards`.
 *
 * @returns The migrations that it has got now.
 * @throws MigrationRefusedError when its ledger or that of the others is not what the folder says; ShardIdentityError when it
 * belongs to another cluster; ConfigError when there is no cluster yet.
 */
export async function prepareShard(cluster: ReadyCluster, bundle: MigrationBundle, shard: string): Promise<string[]> {
  const { resolver, moveTimeoutMs } = cluster.executor.cluster;
  const { catalog } = resolver;
  const view = await catalog.map();
  const like = view?.map.shards.find(({ name, state }) => state === 'active' && name !== shard);
  if (!view || !like) {
    throw new ConfigError('There is no cluster yet that a shard could join.', {
      remedy: 'All databases begin together: npx sharded-drizzle migrate',
    });
  }
  const folder = await withHashes(readMigrations(bundle));
  const { run } = await readingOf(cluster);
  await checkIdentity(cluster, view.map.cluster, shard);
  const settings = { what: 'migration', patienceMs: moveTimeoutMs, refusal: heldRefusal };
  return SchemaHold.while(catalog, settings, async () => {
    const plans = await askShards({ names: [like.name, shard], run }, 2, [], (name, { ledger }) =>
      planShard(folder, name, ledger),
    );
    const obstacles = plans.flatMap((plan) => plan.obstacles);
    if (obstacles.length > 0) {
      throw new MigrationRefusedError(`The shard ${shard} was not migrated:`, obstacles, { shard });
    }
    const [other, own] = plans as [ShardPlan, ShardPlan];
    if (own.ledger.layout === 'missing') await needEmpty(cluster, shard);
    const pending = own.pending.filter((one) => other.applied.includes(one));
    if (pending.length > 0) await apply(run, folder, { ...own, pending });
    return pending.map(({ tag }) => tag);
  });
}

/** Somebody else's database of the same name would get our tables beside its own. */
async function needEmpty({ executor }: ReadyCluster, shard: string): Promise<void> {
  const [[table] = []] = await executor.shards.rows(shard, [
    {
      sql: `select name from sqlite_master where type = 'table' and name not glob '_shard_*' and name not glob 'sqlite_*'
        and name not glob '_cf_*' limit 1`,
      params: [],
    },
  ]);
  if (!table) return;
  throw new MigrationRefusedError(
    `The database of ${shard} is not new: it has the table ${String(table.name)} and no ledger of Drizzle's migrations.`,
    [],
    {
      shard,
      remedy: 'Is it the right one? A database with rows of this schema needs its ledger first: npx drizzle-kit pull',
    },
  );
}

async function apply(run: RunOnShard, folder: HashedFolder, plan: ShardPlan): Promise<void> {
  const { shard, pending } = plan;
  try {
    await run(shard, shardBatch(folder, plan));
  } catch (error) {
    // The answer may have been lost, and the ledger is what tells.
    const now = planShard(folder, shard, await ledgerOf(run, shard));
    if (now.pending.some((one) => pending.includes(one))) throw error;
  }
}

/** It may have been told who it is already, but not by another cluster, or under another name. */
async function checkIdentity({ executor }: ReadyCluster, cluster: string, shard: string): Promise<void> {
  const told = await executor.shards.rows(shard, [
    { sql: "select 1 from sqlite_master where name = '_shard_identity'", params: [] },
  ]);
  if (told[0]?.length === 0) return;
  try {
    await executor.shards.rowsUnlessRefused(shard, identityCheck(cluster, shard), []);
  } catch (error) {
    if (!(error instanceof Refusal) || error.signal.kind !== 'identity') throw error;
    throw new ShardIdentityError(shard, cluster, error.signal, { cause: error });
  }
}
