import type { ShardStatements } from './diff';
import type { ShardPush } from './plan-push';

/** Shards that get the same statements, with the same to be said of them. */
export interface PushGroup<TShard extends string = string> extends ShardStatements {
  readonly shards: readonly TShard[];
}

/**
 * Plans that are alike, once: one group where all shards agree. The first shard's group comes first.
 *
 * @example
 * for (const { shards, statements } of groupByStatements(plan.shards)) console.log(`${shards.join(', ')}:`, statements);
 */
export function groupByStatements<TShard extends string>(plans: readonly ShardPush<TShard>[]): PushGroup<TShard>[] {
  const groups = new Map<string, ShardPush<TShard>[]>();
  for (const plan of plans) {
    const key = JSON.stringify([plan.statements, plan.warnings, plan.dataLoss, plan.obstacles]);
    groups.set(key, [...(groups.get(key) ?? []), plan]);
  }
  return [...groups.values()].map((alike) => {
    const [{ statements, warnings, dataLoss, obstacles }] = alike as [ShardPush<TShard>];
    return { shards: alike.map(({ shard }) => shard), statements, warnings, dataLoss, obstacles };
  });
}
