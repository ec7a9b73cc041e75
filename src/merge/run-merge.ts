import type { OrderKey } from '../plan/plan';
import { compareRows, hiddenColumns, mergeRows, type Row } from './merge-rows';

/** Sorted rows of one shard that are waiting to be merged with those of others. */
export interface Run {
  rows: readonly Row[];
  /** The shard has no more behind these. */
  isLast: boolean;
}

/**
 * Takes from sorted runs all rows of which it is known that none comes before them any more: up to the first place at which a
 * run that may go on ends. That run is empty afterwards. Takes the hidden columns of the order away.
 */
export function takeMerged(runs: readonly Run[], order: readonly OrderKey[]): Row[] {
  const hidden = hiddenColumns(order);
  let end: Row | undefined;
  for (const { rows, isLast } of runs) {
    if (isLast) continue;
    const last = rows.at(-1);
    if (!last) return [];
    if (!end || compareRows(last, end, order, hidden) < 0) end = last;
  }
  const taken = runs.map((run) => {
    const count = end ? countUpTo(run.rows, end, order, hidden) : run.rows.length;
    const rows = run.rows.slice(0, count);
    run.rows = run.rows.slice(count);
    return rows;
  });
  return mergeRows(taken, order, 0, undefined);
}

/** How many rows do not come behind `end`. */
function countUpTo(rows: readonly Row[], end: Row, order: readonly OrderKey[], hidden: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareRows(rows[middle] as Row, end, order, hidden) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
