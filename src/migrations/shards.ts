import { MissingShardError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { demandOf } from '../execution/run';
import { type Ledger, ledgerOf, type RunOnShard } from './ledger';

/**
 * The shards that have to have the schema: all but those that have left, also those that do not own anything yet.
 *
 * @throws MissingShardError when one has no binding here: it would be left behind.
 */
export async function schemaShards({ executor, databases }: ReadyCluster): Promise<string[]> {
  const { routing } = await executor.attempt(false);
  const names = routing.map.shards.filter(({ state }) => state !== 'retired').map(({ name }) => name);
  const missing = names.find((name) => !databases.has(name));
  if (missing !== undefined) throw new MissingShardError(missing);
  return names;
}

/**
 * Batches behind the shard's guard, so that no other database than the one that is meant is changed. They are sent again when
 * their answer was lost: only for what may be repeated.
 */
export const runOnShards =
  ({ executor }: ReadyCluster): RunOnShard =>
  (shard, statements) =>
    executor.accepted([], async (attempt) => {
      const demand = demandOf(attempt, shard, [], false);
      const { results } = await executor.shards.guarded(demand, statements, { tables: [], write: false });
      return results.map((result) => result.results as Record<string, unknown>[]);
    });

/** The ledgers of shards, by their names in the given order. */
export async function ledgersOf(
  run: RunOnShard,
  shards: readonly string[],
  concurrency: number,
): Promise<Map<string, Ledger>> {
  const found = new Map<string, Ledger>(
    shards.map((shard) => [shard, { layout: 'missing', entries: [], fingerprint: '' }]),
  );
  await inTurns(shards, concurrency, async (shard) => {
    found.set(shard, await ledgerOf(run, shard));
    return true;
  });
  return found;
}

/**
 * Calls `run` for each item, so many at a time, and for no further one once it gave false or threw; those under way end.
 *
 * @throws The first error.
 */
export async function inTurns<T>(
  items: readonly T[],
  concurrency: number,
  run: (item: T) => Promise<boolean>,
): Promise<void> {
  const left = items.values();
  let goesOn = true;
  const worker = async () => {
    for (const item of left) {
      if (!goesOn) return;
      try {
        if (!(await run(item))) goesOn = false;
      } catch (error) {
        goesOn = false;
        throw error;
      }
      if (!goesOn) return;
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, items.length) }, worker);
  const failure = (await Promise.allSettled(workers)).find((one) => one.status === 'rejected');
  if (failure) throw failure.reason;
}
