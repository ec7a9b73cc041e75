import { ScatterError } from '../errors';
import type { Layout } from '../layout/layout';
import { keysOf } from '../plan/key-set';
import type { GatherTable, Plan, Reach } from '../plan/plan';

const isOpen = (reaches: readonly Reach[], params: readonly unknown[]): boolean =>
  reaches.some((reach) => reach.kind === 'keys' && keysOf(reach.keys, params) === 'all');

/** Does each fetch go to the owners of keys that are known, or that rows fetched before name? */
function areNamed(tables: readonly GatherTable[], params: readonly unknown[]): boolean {
  const named: boolean[] = [];
  for (const { reaches, links } of tables) {
    named.push(!isOpen(reaches, params) || links.some((link) => link.keyspace !== undefined && named[link.from]));
  }
  return !named.includes(false);
}

/**
 * Lets statements pass whose conditions and values name their shard keys, or the rows whose values are shard keys; also those of
 * replicated tables alone.
 *
 * @throws ScatterError with the keys that are missing.
 */
export function needKeys(plan: Plan, sql: string, params: readonly unknown[], layout: Layout): void {
  if (plan.kind === 'every') return;
  if (!isOpen(plan.reaches, params)) return;
  if (plan.kind === 'read' && areNamed(plan.gather().tables, params)) return;
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
