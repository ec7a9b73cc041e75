import { type AdoptionIo, adoptKeys } from '../adoption/adopt-keys';
import { type FoundKey, type KeyTables, probeStatements } from '../adoption/statements';
import type { Attempt } from '../placement/attempt';
import { keyColumns } from '../placement/claimer';
import { readTableList } from '../placement/claims';
import { conflictOf } from '../placement/conflict';
import type { PlacedKey } from '../placement/guard';
import { type AdoptionSource, Refusal, signalOf } from '../placement/signals';
import { tablesOf } from './claiming';
import type { Executor } from './run';
import { prepare } from './shard-set';

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
  for (const keyspace of new Set(homed.map((key) => key.keyspace))) {
    const wanted = homed.filter((key) => key.keyspace === keyspace);
    const from = sources.filter((source) => source.keyspace === keyspace).map(({ shard }) => shard);
    const lists = await executor.shards.forEach(from, (shard) => probe(io, keyspace, shard, wanted));
    for (const [i, list] of lists.entries()) {
      const shard = from[i] as string;
      for (const [home, own] of byHome(list)) {
        const { adopted, conflicts } = await adoptKeys(io, keyspace, shard, home, own);
        const [conflict] = conflicts;
        if (conflict) throw conflictOf(keyspace, conflict.key);
        for (const key of adopted) found.set(key as PlacedKey, shard);
      }
    }
  }
  return attempt.afterProbe(homed, found, Math.max(...sources.map(({ id }) => id)));
}

async function probe(
  io: AdoptionIo,
  keyspace: string,
  shard: string,
  keys: readonly PlacedKey[],
): Promise<PlacedKey[]> {
  const { columns } = await io.tablesOf(shard, keyspace, false);
  const statements = probeStatements(
    { cluster: io.cluster, shard },
    keys.map(({ key }) => key),
    columns,
  );
  const rows = (await io.run(shard, statements)).at(-1) ?? [];
  return rows.map(({ n }) => keys[Number(n)] as PlacedKey);
}

function byHome(keys: readonly PlacedKey[]): Map<string, (FoundKey & PlacedKey)[]> {
  const homes = new Map<string, PlacedKey[]>();
  for (const key of keys) homes.set(key.shard, [...(homes.get(key.shard) ?? []), key]);
  return homes;
}

function probingIo(executor: Executor, attempt: Attempt): AdoptionIo {
  const { shards, cluster } = executor;
  const { state, catalog } = cluster.resolver;
  const run: AdoptionIo['run'] = (shard, statements) =>
    // All of it may be repeated.
    shards.on(shard, statements[0]?.sql ?? '', { tables: [], write: false }, async (client) => {
      try {
        const results = await client.batch<Record<string, unknown>>(statements.map((one) => prepare(client, one)));
        return results.map((result) => result.results);
      } catch (error) {
        const signal = signalOf(error);
        throw signal ? new Refusal(shard, signal, [], error) : error;
      }
    });
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
