import type { ClusterApi } from '../cluster-api';
import { type MigrationBundle, readMigrations } from './bundle';
import { readyCluster } from './cluster-of';
import type { Obstacle } from './errors';
import { withHashes } from './hashed';
import { atATime } from './options';
import { type InspectedPlan, preflight } from './preflight';
import type { SchemaDifference } from './schema/compare';
import type { SchemaAfter } from './schema/expected';
import { readingOf } from './shards';

export interface InspectOptions {
  /** Shards at a time. Default 6. */
  concurrency?: number;
  /** Compares each shard with the schema that its migrations give: see {@link expectedSchema}. Default: schemas are not read. */
  expected?: SchemaAfter;
}

/** Where a shard stands among the migrations. */
export interface ShardInspection<TShard extends string = string> {
  shard: TShard;
  /** Migrations of the bundle that it has had, and those that it lacks; the oldest first. */
  applied: string[];
  pending: string[];
  /** What is in the way of bringing it up to date. */
  obstacles: readonly Obstacle[];
  /** In what it differs from what its migrations make. Undefined: without `expected`, or where that cannot be told. */
  drift?: readonly SchemaDifference[];
}

export interface Inspection<TShard extends string = string> {
  shards: ShardInspection<TShard>[];
  /** What is wrong with pending files, on whichever shard. */
  obstacles: readonly Obstacle[];
}

/**
 * Looks where each shard stands, without changing anything, and without throwing for what it finds. Where there is no cluster
 * yet none is made.
 *
 * @example
 * const { shards } = await inspectShards(db, bundle, { expected: expectedSchema(scratch) });
 * for (const { shard, pending, obstacles } of shards) console.log(shard, pending, obstacles);
 * @throws ConfigError when the bundle cannot be read; ShardQueryError when a shard does not answer, MissingShardError when one
 * has no binding, ShardIdentityError when a binding is another database than its name says.
 */
export async function inspectShards<TShard extends string>(
  db: { readonly $cluster: ClusterApi<TShard> },
  bundle: MigrationBundle,
  { concurrency, expected }: InspectOptions = {},
): Promise<Inspection<TShard>> {
  const cluster = readyCluster(db, 'inspectShards');
  const options = { concurrency: atATime(concurrency), expected };
  const folder = await withHashes(readMigrations(bundle));
  const { layout } = cluster.executor.cluster.planner;
  const { plans, obstacles } = await preflight(await readingOf(cluster), folder, layout, options);
  return { shards: plans.map((plan) => inspected<TShard>(plan)), obstacles };
}

const inspected = <TShard extends string>({ shard, applied, pending, obstacles, drift }: InspectedPlan) => ({
  shard: shard as TShard,
  applied: applied.map(({ tag }) => tag),
  pending: pending.map(({ tag }) => tag),
  obstacles,
  ...(drift ? { drift } : {}),
});
