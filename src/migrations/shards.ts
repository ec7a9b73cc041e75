import { MissingShardError, ShardIdentityError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { demandOf } from '../execution/run';
import { Refusal } from '../placement/signals';
import { identityCheck } from '../placement/system-tables';
import type { BoundStatement } from '../sql/bound';
import { type Answered, ledgerReader, type RunOnShard } from './ledger';

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

/** Shards, and how to ask them. */
export interface Reading {
  readonly names: readonly string[];
  readonly run: RunOnShard;
}

/**
 * The same shards for reading alone: where there is no cluster yet, none is made, and databases that are to join it stay as they
 * are.
 *
 * @throws MissingShardError; `run` throws ShardIdentityError on another database than the one that is meant.
 */
export async function readingOf({ executor, databases }: ReadyCluster): Promise<Reading> {
  const view = await executor.cluster.resolver.catalog.map();
  const known = view?.map.shards.filter(({ state }) => state !== 'retired').map(({ name }) => name) ?? [];
  const missing = known.find((name) => !databases.has(name));
  if (missing !== undefined) throw new MissingShardError(missing);
  const retired = view?.map.shards.filter(({ state }) => state === 'retired').map(({ name }) => name) ?? [];
  const inCluster = new Set([...known, ...retired]);
  const joining = [...databases.keys()].filter((name) => !inCluster.has(name));
  // They have not been told who they are.
  const untold = new Set([...joining, ...(view?.pending.map(({ shard }) => shard) ?? [])]);
  const run: RunOnShard = async (shard, statements) => {
    if (!view || untold.has(shard)) return executor.shards.rows(shard, statements);
    const { cluster } = view.map;
    try {
      const check = identityCheck(cluster, shard);
      const rows = await executor.shards.rowsUnlessRefused(shard, [...check, ...statements], []);
      return rows.slice(check.length);
    } catch (error) {
      if (!(error instanceof Refusal) || error.signal.kind !== 'identity') throw error;
      throw new ShardIdentityError(shard, cluster, error.signal, { cause: error });
    }
  };
  return { names: [...known, ...joining], run };
}

/**
 * Asks every shard what it has applied, and other things in the same batch. Of the answers only what `take` makes of them is kept,
 * in the order of the names: the schemas of a thousand shards are large.
 */
export async function askShards<T>(
  { names, run }: Reading,
  concurrency: number,
  also: readonly BoundStatement[],
  take: (shard: string, answered: Answered) => Promise<T> | T,
): Promise<T[]> {
  const read = ledgerReader(run, also);
  const found = new Map<string, T>();
  await inTurns(names, concurrency, async (shard) => {
    found.set(shard, await take(shard, await read(shard)));
    return true;
  });
  return names.map((name) => found.get(name) as T);
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
