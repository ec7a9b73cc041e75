import type { Attempt } from '../placement/attempt';
import { askBalanced } from './balance';
import { demandOf, type Executor } from './run';
import { SchemaHold } from './schema-hold';
import type { ShardRows } from './shard-set';
import { type Part, resultsOf, settleParts } from './write';

/**
 * A schema change, alone: one by others, a migration for instance, and a move that has begun are waited for.
 *
 * @throws MoveInProgressError when they take longer. Nothing was changed.
 */
export function writeSchema(
  executor: Executor,
  attempt: Attempt,
  parts: readonly Part[],
  tables: readonly string[],
): Promise<ShardRows[][]> {
  const { resolver, moveTimeoutMs, planner } = executor.cluster;
  planner.forget();
  const settings = { what: 'schema change', patienceMs: moveTimeoutMs };
  return SchemaHold.while(resolver.catalog, settings, (hold) => change(executor, attempt, parts, tables, hold));
}

/** What the first shard refuses, the others would. */
async function change(
  executor: Executor,
  attempt: Attempt,
  parts: readonly Part[],
  tables: readonly string[],
  hold: SchemaHold,
): Promise<ShardRows[][]> {
  const { shards } = executor;
  const options = { tables, rehearse: false };
  try {
    // Every shard is who it is taken for, and the map knows all of them, before the first one is changed.
    const names = parts.map(({ demand }) => demand.shard);
    await askBalanced(shards, names, attempt, tables, (shard) =>
      shards.guarded(demandOf(attempt, shard, [], false), [], { tables, write: false }),
    );
    await hold.renew();
    const first = await settleParts(shards, parts.slice(0, 1), options);
    const failed = first.some((one) => !('results' in one));
    return resultsOf([...first, ...(failed ? [] : await settleParts(shards, parts.slice(1), options))], tables);
  } finally {
    // Also when it failed: some shards may have changed.
    executor.cluster.planner.forget();
  }
}
