import type { OrderKey } from '../plan/plan';
import { compareValues } from './compare';

export type Row = readonly unknown[];

/** How many hidden columns the order adds at the end of each row. */
export const hiddenColumns = (order: readonly OrderKey[]): number =>
  order.reduce((count, key) => count + (key.large ? 2 : 1), 0);

/**
 * Merges sorted lists of rows of several shards into one, by the hidden columns at their ends; equal rows keep the order of
 * the lists. Takes the hidden columns away.
 */
export function mergeRows(
  lists: readonly (readonly Row[])[],
  order: readonly OrderKey[],
  offset: number,
  limit: number | undefined,
): Row[] {
  const hidden = hiddenColumns(order);
  const rows = lists.flat();
  // Array.prototype.sort is stable, and its TimSort merges runs that are sorted already in linear time.
  if (order.length > 0) rows.sort((a, b) => compareRows(a, b, order, hidden));
  const page = limit === undefined || limit < 0 ? rows.slice(offset) : rows.slice(offset, offset + limit);
  return hidden === 0 ? page : page.map((row) => row.slice(0, row.length - hidden));
}

/** Compares two rows by the hidden columns at their ends. */
export function compareRows(a: Row, b: Row, order: readonly OrderKey[], hidden = hiddenColumns(order)): number {
  let at = a.length - hidden;
  let bt = b.length - hidden;
  for (const key of order) {
    const result = compareKey(key, orderValue(a, at, key), orderValue(b, bt, key));
    if (result !== 0) return result;
    at += key.large ? 2 : 1;
    bt += key.large ? 2 : 1;
  }
  return 0;
}

/** The value to order by: where JavaScript could not hold it, its text follows. */
function orderValue(row: Row, at: number, { large }: OrderKey): unknown {
  const text = large ? row[at + 1] : null;
  if (typeof text !== 'string') return row[at];
  if (text === 'Inf' || text === '-Inf') return text === 'Inf' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return BigInt(text);
}

function compareKey({ descending, nulls, collation }: OrderKey, a: unknown, b: unknown): number {
  const aNull = a === null || a === undefined;
  const bNull = b === null || b === undefined;
  if (aNull && bNull) return 0;
  if (aNull || bNull) return aNull === (nulls === 'first') ? -1 : 1;
  const result = compareValues(a, b, collation);
  return descending ? -result : result;
}
