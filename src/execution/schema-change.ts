import { MoveInProgressError } from '../errors';
import type { Attempt } from '../placement/attempt';
import { askBalanced } from './balance';
import { jittered, pause } from './retry';
import { demandOf, type Executor } from './run';
import type { ShardRows } from './shard-set';
import { type Part, resultsOf, settleParts } from './write';

/** A schema change. What the first shard refuses, the others would. */
export async function writeSchema(
  executor: Executor,
  attempt: Attempt,
  parts: readonly Part[],
  tables: readonly string[],
): Promise<ShardRows[][]> {
  const { shards } = executor;
  const options = { tables, rehearse: false };
  executor.cluster.planner.forget();
  const release = await holdMoves(executor, attempt, tables);
  try {
    // Every shard is who it is taken for, and the map knows all of them, before the first one is changed.
    const names = parts.map(({ demand }) => demand.shard);
    await askBalanced(shards, names, attempt, tables, (shard) =>
      shards.guarded(demandOf(attempt, shard, [], false), [], { tables, write: false }),
    );
    const first = await settleParts(shards, parts.slice(0, 1), options);
    const failed = first.some((one) => !('results' in one));
    return resultsOf([...first, ...(failed ? [] : await settleParts(shards, parts.slice(1), options))], tables);
  } finally {
    // Also when it failed: some shards may have changed.
    executor.cluster.planner.forget();
    await release();
  }
}

/** A schema change that dies lets moves go on after so long. */
const HOLD_SECONDS = 300;

/**
 * Rows are not moved while tables change: a move that has begun is waited for, and none begins until the release.
 *
 * @throws MoveInProgressError
 */
async function holdMoves(
  { cluster }: Executor,
  { name }: Attempt,
  tables: readonly string[],
): Promise<() => Promise<void>> {
  const { catalog } = cluster.resolver;
  const by = `schema change ${name}`;
  const deadline = Date.now() + cluster.moveTimeoutMs;
  for (let round = 1; ; round++) {
    const [open] = await catalog.holdMoves(by, HOLD_SECONDS);
    if (!open) return () => catalog.releaseMoves(by).catch(() => {});
    if (Date.now() >= deadline) {
      throw new MoveInProgressError(`Move ${open.id} of rows to ${open.to} is under way. Nothing was changed.`, {
        tables,
        remedy: 'Try again, or stop moves with db.$cluster.pause(job).',
      });
    }
    await pause(jittered(20, round, 500));
  }
}
