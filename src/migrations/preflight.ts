import type { Layout } from '../layout/layout';
import { driftObstacle, driftOf } from './drift';
import type { Obstacle } from './errors';
import type { HashedFolder } from './hashed';
import { planShard, type ShardPlan } from './plan';
import { insertedRows } from './rows';
import type { SchemaDifference } from './schema/compare';
import { describeStatements, schemaFrom } from './schema/describe';
import type { SchemaAfter } from './schema/expected';
import { askShards, type Reading } from './shards';

export interface PreflightOptions {
  readonly concurrency: number;
  /** Default: what the schemas should be is not looked at, and neither are they. */
  readonly expected?: SchemaAfter | undefined;
}

export interface InspectedPlan extends ShardPlan {
  /** Undefined: it was not asked for, or cannot be told. */
  readonly drift: readonly SchemaDifference[] | undefined;
}

/** What all shards lack, and what is in the way. One round trip to each; changes nothing. */
export interface Preflight {
  readonly plans: readonly InspectedPlan[];
  /** Of files, on whichever shard. Those of shards are in their plans. */
  readonly obstacles: readonly Obstacle[];
}

export async function preflight(
  reading: Reading,
  folder: HashedFolder,
  layout: Layout,
  { concurrency, expected }: PreflightOptions,
): Promise<Preflight> {
  const also = expected ? describeStatements : [];
  const plans = await askShards(reading, concurrency, also, async (shard, answered): Promise<InspectedPlan> => {
    const plan = planShard(folder, shard, answered.ledger);
    const drift = expected && (await driftOf(plan, schemaFrom(answered.also), expected));
    const obstacles = drift && drift.length > 0 ? [driftObstacle(shard, drift)] : [];
    return { ...plan, drift, obstacles: [...plan.obstacles, ...obstacles] };
  });
  const pending = new Set(plans.flatMap((plan) => plan.pending));
  return { plans, obstacles: insertedRows(pending, layout) };
}

/** All that is in the way. */
export const obstaclesOf = ({ plans, obstacles }: Preflight): Obstacle[] => [
  ...plans.flatMap((plan) => plan.obstacles),
  ...obstacles,
];
