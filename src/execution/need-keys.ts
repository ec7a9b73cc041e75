import { ScatterError } from '../errors';
import type { Layout } from '../layout/layout';
import { keysOf } from '../plan/key-set';
import type { Plan } from '../plan/plan';

/**
 * Lets statements pass whose conditions and values name their shard keys; also those of replicated tables alone.
 *
 * @throws ScatterError with the keys that are missing.
 */
export function needKeys(plan: Plan, sql: string, params: readonly unknown[], layout: Layout): void {
  if (plan.kind === 'every') return;
  const isOpen = plan.reaches.some((reach) => reach.kind === 'keys' && keysOf(reach.keys, params) === 'all');
  if (!isOpen) return;
  const keys = plan.tables.flatMap((name) => {
    const placement = layout.find(name)?.placement;
    return placement?.kind === 'sharded' ? [`${name}.${placement.key.name}`] : [];
  });
  throw new ScatterError(`No condition confines the statement by ${keys.join(' or ')}, so it would ask all shards.`, {
    tables: plan.tables,
    sql,
    remedy: `Add a condition such as eq(${keys[0]}, …), or write db.$scatter instead of db where all of them are meant.`,
  });
}
