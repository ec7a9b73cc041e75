import { hiddenColumns, mergeRows, type Row } from '../merge/merge-rows';
import type { BroadcastRoute, InsertRoute, ScatterRoute } from './route';
import { emptyMeta, mergeMeta, type ShardRows } from './shard-set';

export function mergeScatter(route: ScatterRoute, results: readonly ShardRows[]): ShardRows {
  const hidden = hiddenColumns(route.order);
  const columns = results.find((result) => result.columns.length > 0)?.columns ?? [];
  const lists = results.map((result) => result.rows);
  return {
    columns: hidden > 0 ? columns.slice(0, -hidden) : columns,
    rows: route.merge === 'sum' ? [addUp(lists)] : mergeRows(lists, route.order, route.offset, route.limit),
    meta: mergeMeta(results.map((result) => result.meta)),
  };
}

/** Counts of each shard, one row a list. */
const addUp = (lists: readonly (readonly Row[])[]): Row =>
  lists.map(([row]) => row ?? []).reduce((sum, row) => sum.map((value, i) => Number(value) + Number(row[i])));

/** Puts the rows of RETURNING back into the order of the VALUES. */
export function mergeInsert(
  route: InsertRoute,
  parts: readonly { readonly rows: readonly number[] }[],
  results: readonly (readonly ShardRows[])[],
): ShardRows {
  const meta = mergeMeta(results.flat().map((result) => result.meta));
  // As on one database: that of the last row.
  const last = parts.findIndex(({ rows }) => rows.includes(route.rowKeys.length - 1));
  const ended = results[last]?.at(-1)?.meta;
  if (ended && ended.changes > 0) meta.last_row_id = ended.last_row_id;
  if (!route.returning) return { columns: [], rows: [], meta };
  const columns = results.flat().find((result) => result.columns.length > 0)?.columns ?? [];
  const placed: { readonly at: number; readonly row: readonly unknown[] }[] = [];
  for (const [i, part] of parts.entries()) {
    const waiting = [...part.rows];
    for (const row of (results[i] ?? []).flatMap((result) => result.rows)) {
      // A conflict may have dropped rows: the next one with this row's key is it.
      const next = route.returnsKey ? waiting.findIndex((at) => route.rowKeys[at] === String(row.at(-1))) : 0;
      const [at] = waiting.splice(Math.max(next, 0), 1);
      placed.push({ at: at ?? route.rowKeys.length, row: route.returnsKey ? row.slice(0, -1) : row });
    }
  }
  placed.sort((a, b) => a.at - b.at);
  return {
    columns: route.returnsKey ? columns.slice(0, -1) : columns,
    rows: placed.map((one) => one.row),
    meta,
  };
}

/** A replicated table answers once, not once per shard. */
export function mergeBroadcast(route: BroadcastRoute, results: readonly (readonly ShardRows[])[]): ShardRows {
  return joinResults(route.same ? (results[0] ?? []) : results.flat());
}

export function joinResults(results: readonly ShardRows[]): ShardRows {
  const columns = results.find((result) => result.columns.length > 0)?.columns ?? [];
  return {
    columns,
    rows: results.flatMap((result) => result.rows),
    meta: results.length > 0 ? mergeMeta(results.map((result) => result.meta)) : emptyMeta(),
  };
}

/** The columns under their own names, where the statement ran under others or gave no row to tell them. */
export const named = (
  { names, renamed }: { readonly names?: readonly string[] | undefined; readonly renamed?: boolean },
  rows: ShardRows,
): ShardRows => (names && (renamed || rows.columns.length === 0) ? { ...rows, columns: names } : rows);
