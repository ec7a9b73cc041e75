import { type AdoptionIo, adoptKeys, withTables } from '../adoption/adopt-keys';
import { type FoundKey, type KeyTables, probeStatements } from '../adoption/statements';
import type { Attempt } from '../placement/attempt';
import { keyColumns } from '../placement/claimer';
import { readTableList } from '../placement/claims';
import { conflictOf } from '../placement/conflict';
import type { PlacedKey } from '../placement/guard';
import { type AdoptionSource, Refusal } from '../placement/signals';
import { tablesOf } from './claiming';
import type { Executor } from './run';

/**
 * Keys without a record may be in databases that came with rows and were not scanned yet: looks for them there, and records where
 * they were found. What nobody has is new.
 *
 * @returns The next try.
 * @throws AdoptionConflictError for a key that two databases have.
 */
export async function probeSources(
  executor: Executor,
  attempt: Attempt,
  keys: readonly PlacedKey[],
  sources: readonly AdoptionSource[],
): Promise<Attempt> {
  const io = probingIo(executor, attempt);
  // Those whose home was asked: others were sent to where they are.
  const homed = keys.filter(({ known }) => known === undefined);
  const found = new Map<PlacedKey, string>();
  /** The scan was ended while they were looked for: their home knows by now, and is asked again. */
  const late = new Set<PlacedKey>();
  for (const keyspace of new Set(homed.map((key) => key.keyspace))) {
    const wanted = homed.filter((key) => key.keyspace === keyspace);
    const from = sources.filter((source) => source.keyspace === keyspace).map(({ shard }) => shard);
    const lists = await executor.shards.forEach(from, (shard) => probe(io, keyspace, shard, wanted));
    for (const [i, list] of lists.entries()) {
      const shard = from[i] as string;
      for (const [home, own] of byHome(list)) {
        const { adopted, conflicts, unsettled, ended } = await adoptKeys(io, keyspace, shard, home, own);
        const [conflict] = conflicts;
        if (conflict) throw conflictOf(keyspace, conflict.key);
        // They are here, and their home can take no record now: to go on without one would pass over their rows.
        if (unsettled.length > 0) throw new Refusal(home, { kind: 'busy' }, unsettled as readonly PlacedKey[]);
        for (const key of ended) late.add(key as PlacedKey);
        for (const key of adopted) found.set(key as PlacedKey, shard);
        // A replica of it has no record of them yet.
        if (adopted.length > 0) executor.onMoved(shard);
      }
    }
  }
  return attempt.afterProbe(
    homed.filter((key) => !late.has(key)),
    found,
    Math.max(...sources.map(({ id }) => id)),
  );
}

/** The next try after parts of a write were refused, others of which may have been written. */
export const afterRefusal = (
  executor: Executor,
  attempt: Attempt,
  refusal: Refusal,
  fromCatalog: boolean,
): Promise<Attempt> =>
  refusal.signal.kind === 'adopting'
    ? probeSources(executor, attempt, refusal.keys, refusal.signal.sources)
    : attempt.next(refusal, fromCatalog);

async function probe(
  io: AdoptionIo,
  keyspace: string,
  shard: string,
  keys: readonly PlacedKey[],
): Promise<PlacedKey[]> {
  const list = keys.map(({ key }) => key);
  const rows = await withTables(io, shard, keyspace, (tables) =>
    probeStatements({ cluster: io.cluster, shard }, list, tables),
  );
  return rows.map(({ n }) => keys[Number(n)] as PlacedKey);
}

function byHome(keys: readonly PlacedKey[]): Map<string, (FoundKey & PlacedKey)[]> {
  const homes = new Map<string, PlacedKey[]>();
  for (const key of keys) homes.set(key.shard, [...(homes.get(key.shard) ?? []), key]);
  return homes;
}

function probingIo(executor: Executor, attempt: Attempt): AdoptionIo {
  const { cluster } = executor;
  const { state, catalog } = cluster.resolver;
  // Never a replica, which may be behind: what is not found is taken to be new.
  const shards = executor.shards.onPrimaries();
  const run: AdoptionIo['run'] = (shard, statements) => shards.rowsUnlessRefused(shard, statements, []);
  return {
    cluster: attempt.cluster,
    catalog,
    run,
    tablesOf: async (shard, keyspace, again): Promise<KeyTables> => {
      if (again || !state.tables.has(shard)) {
        const row = (await run(attempt.bound(shard), [readTableList])).at(-1)?.[0];
        state.tables.set(shard, (row?.tables as string | null | undefined) ?? null);
      }
      const list = state.tables.get(shard) ?? null;
      return { list, columns: keyColumns(await tablesOf(executor, shard, list?.split('\n') ?? []), keyspace) };
    },
  };
}
