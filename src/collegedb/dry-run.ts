import { WEIGHT_UNIT } from '../catalog/check-request';
import { MissingShardError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { prepare } from '../execution/shard-set';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import { SLOTS, slotOf } from '../placement/slots';
import type { BoundStatement } from '../sql/bound';
import { quoteName } from '../sql/tokens';
import { PAGE } from './key-pages';
import type { KeyedTable } from './key-records';

/**
 * The shards of keys by the word of their homes, as {@link KeyRecords.locateAll} gives them, but also where there is no
 * cluster yet: asking it would make one.
 */
export async function locateWithoutChange(
  cluster: ReadyCluster,
  weights: Readonly<Record<string, number | undefined>>,
  tablesOf: (shard: string) => Promise<readonly KeyedTable[]>,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const homeOf = await homes(cluster, weights);
  const found = new Map<string, string>();
  for (const [home, own] of grouped(keys, homeOf)) {
    if (!cluster.databases.has(home)) throw new MissingShardError(home);
    const tables = await tablesOf(home);
    for (let from = 0; from < own.length; from += PAGE) {
      await askHome(cluster, home, tables, own.slice(from, from + PAGE), found);
    }
  }
  return found;
}

type HomeOf = (key: string) => string;

async function homes(
  { executor, databases }: ReadyCluster,
  weights: Readonly<Record<string, number | undefined>>,
): Promise<HomeOf> {
  const view = await executor.cluster.resolver.catalog.map();
  const ranges = view?.map.keyspaces[DEFAULT_KEYSPACE]?.ranges ?? firstRanges([...databases.keys()], weights);
  return (key) => {
    const slot = slotOf(key);
    return ranges.findLast(({ lo }) => lo <= slot)?.shard as string;
  };
}

/** How first contact would cut the slots. */
function firstRanges(
  shards: readonly string[],
  weights: Readonly<Record<string, number | undefined>>,
): { lo: number; shard: string }[] {
  const shares = shards.map((shard) => Math.round((weights[shard] ?? 1) * WEIGHT_UNIT));
  const total = shares.reduce((sum, share) => sum + share, 0);
  let before = 0;
  return shards.map((shard, i) => {
    const lo = Math.ceil((before * SLOTS) / total);
    before += shares[i] as number;
    return { lo, shard };
  });
}

export function grouped(keys: readonly string[], by: (key: string) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    const group = groups.get(by(key));
    if (group) group.push(key);
    else groups.set(by(key), [key]);
  }
  return groups;
}

/** Which keys of a JSON list have rows on their home. */
export const findRows = (tables: readonly KeyedTable[], list: string, home: string): BoundStatement[] =>
  tables.map(({ table, column }) => ({
    sql: `select j.key as n, ?2 as at from json_each(?1) j
      where exists (select 1 from ${quoteName(table)} where ${quoteName(column)} = j.value)`,
    params: [list, home],
  }));

/** What their home has recorded of them: it says more than a row. */
export const findRecords = (list: string): BoundStatement => ({
  sql: 'select j.key as n, t.at from json_each(?1) j join _shard_keys t on t.keyspace = ?2 and t.key = j.value',
  params: [list, DEFAULT_KEYSPACE],
});

async function askHome(
  { executor }: ReadyCluster,
  home: string,
  tables: readonly KeyedTable[],
  keys: readonly string[],
  found: Map<string, string>,
): Promise<void> {
  const list = JSON.stringify(keys);
  const ask = async (statements: readonly BoundStatement[]) => {
    if (statements.length === 0) return [];
    const results = await executor.shards.on(home, '', { tables: [], write: false }, (client) =>
      client.batch<{ n: number; at: string }>(statements.map((one) => prepare(client, one))),
    );
    return results.flatMap((one) => one.results);
  };
  const rows = await ask(findRows(tables, list, home));
  const records = await ask([findRecords(list)]).catch((error: unknown) => {
    // The database belongs to no cluster yet.
    if (String(error).includes('no such table')) return [];
    throw error;
  });
  for (const { n, at } of [...rows, ...records]) found.set(keys[n] as string, at);
}
