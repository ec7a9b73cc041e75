import type { ShardMap } from '../catalog/catalog';
import type { ClusterStats } from '../execution/stats';
import type { Table } from '../layout/table';
import { bound, sql } from '../sql/tag';
import type { MoveIo } from './io';
import type { PlannedMove, RecordCounts } from './plan';

/** What moving would take. Counted where that is cheap, estimated from the share of the slots elsewhere. */
export interface MovePlan {
  readonly moves: readonly (PlannedMove & { readonly rows: number; readonly bytes: number })[];
  readonly slots: number;
  readonly keys: number;
  readonly rows: number;
  readonly bytes: number;
  /** Rows that D1 will bill as written, with one for each index. */
  readonly rowsWritten: number;
  /** By D1's price of $1.00 for a million rows written, without what is included in a plan. */
  readonly priceUsd: number;
  /** All of it as a table for people. */
  readonly text: string;
}

/** https://developers.cloudflare.com/d1/platform/pricing/ */
const USD_PER_ROW_WRITTEN = 1 / 1_000_000;

/** How many keys live on each shard by a record: the homes know. */
export async function countRecords(io: MoveIo, { shards, keyspaces }: ShardMap): Promise<RecordCounts> {
  const counts: Record<string, Map<string, number>> = Object.fromEntries(
    Object.keys(keyspaces).map((keyspace) => [keyspace, new Map<string, number>()]),
  );
  for (const { name, state } of shards) {
    if (state === 'retired') continue;
    const [rows = []] = await io.run(name, [
      bound(sql`select k.keyspace, k.at, count(*) as n from _shard_keys k where exists (
        select 1 from _shard_slots s where s.keyspace = k.keyspace and k.slot between s.lo and s.hi) group by 1, 2`),
    ]);
    for (const { keyspace, at, n } of rows) {
      const own = counts[String(keyspace)];
      own?.set(String(at), (own.get(String(at)) ?? 0) + Number(n));
    }
  }
  return counts;
}

/** How many indexes each table has. */
export async function countIndexes(io: MoveIo, shard: string): Promise<ReadonlyMap<string, number>> {
  const [rows = []] = await io.run(shard, [
    bound(sql`select tbl_name as t, count(*) as n from sqlite_master where type = 'index' group by 1`),
  ]);
  return new Map(rows.map(({ t, n }) => [String(t), Number(n)]));
}

/** Pure. */
export function estimate(
  moves: readonly PlannedMove[],
  map: ShardMap,
  stats: ClusterStats,
  tables: readonly Table[],
  indexes: ReadonlyMap<string, number>,
  records: RecordCounts,
): MovePlan {
  let [slots, keys, rowsWritten] = [0, 0, 0];
  const sized = moves.map((move) => {
    const { keyspace, from } = move;
    const shard = stats.shards.find(({ name }) => name === from);
    const own = tables.filter(({ placement }) => placement.kind === 'sharded' && placement.keyspace === keyspace);
    const rowsOf = (table: Table) => shard?.tables[table.name]?.rows ?? 0;
    const keysOf = Math.max(0, ...own.map((table) => shard?.tables[table.name]?.keys ?? 0));
    const all = stats.shards.find(({ name }) => name === from);
    const total = Object.values(all?.tables ?? {}).reduce((sum, { rows }) => sum + rows, 0);
    const recorded = records[keyspace]?.get(from) ?? 0;
    const share = move.slots
      ? shareOfSlots(map, move, move.slots) * (keysOf === 0 ? 0 : Math.max(0, 1 - recorded / keysOf))
      : keysOf === 0
        ? 0
        : Math.min(1, move.records / keysOf);
    const rows = Math.round(own.reduce((sum, table) => sum + rowsOf(table), 0) * share);
    slots += move.slots ? move.slots.hi - move.slots.lo + 1 : 0;
    keys += move.slots ? Math.round(keysOf * share) : move.records;
    // Each row is written on the target and deleted on the source, with its indexes.
    rowsWritten += own.reduce(
      (sum, table) => sum + rowsOf(table) * share * 2 * (1 + (indexes.get(table.name) ?? 0)),
      0,
    );
    return { ...move, rows, bytes: total === 0 ? 0 : Math.round(((shard?.sizeBytes ?? 0) * rows) / total) };
  });
  const sum = (of: (one: (typeof sized)[number]) => number) => sized.reduce((total, one) => total + of(one), 0);
  const plan = {
    moves: sized,
    slots,
    keys,
    rows: sum(({ rows }) => rows),
    bytes: sum(({ bytes }) => bytes),
    rowsWritten: Math.round(rowsWritten),
    priceUsd: rowsWritten * USD_PER_ROW_WRITTEN,
  };
  return { ...plan, text: textOf(plan) };
}

function shareOfSlots(map: ShardMap, { keyspace, from }: PlannedMove, { lo, hi }: { lo: number; hi: number }): number {
  const owned = (map.keyspaces[keyspace]?.ranges ?? [])
    .filter(({ shard }) => shard === from)
    .reduce((sum, range) => sum + range.hi - range.lo + 1, 0);
  return owned === 0 ? 0 : (hi - lo + 1) / owned;
}

const count = (value: number): string => Math.round(value).toLocaleString('en');

function textOf(plan: Omit<MovePlan, 'text'>): string {
  if (plan.moves.length === 0) return 'Nothing to move.';
  const lines = plan.moves.map(({ keyspace, from, to, slots, records, rows }) => {
    const what = slots
      ? `${count(slots.hi - slots.lo + 1)} slots (${slots.lo}-${slots.hi})`
      : `${count(records)} keys with records`;
    return `${from} -> ${to.join(', ')}  ${keyspace}: ${what}, about ${count(rows)} rows`;
  });
  const total = `In all about ${count(plan.keys)} keys, ${count(plan.rows)} rows, ${(plan.bytes / 1e6).toFixed(1)} MB; ${count(plan.rowsWritten)} rows written, $${plan.priceUsd.toFixed(2)}.`;
  return [...lines, total].join('\n');
}
