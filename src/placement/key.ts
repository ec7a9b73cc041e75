import type { Affinity } from '../layout/table';

/**
 * A shard key value in its one spelling: the text of what SQLite would store. `5` and `'5'` in an integer column are both
 * `5`. Null: SQL's NULL, which equals nothing. Undefined: it cannot be told what SQLite would compare.
 */
export type CanonicalKey = string | null | undefined;

const INTEGER_TEXT = /^-?(?:0|[1-9]\d{0,18})$/;
// What SQLite's numeric affinity turns from text into a number; the white space is isspace()'s.
const NUMERIC_TEXT = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*$/;

/**
 * Makes a bound value or literal canonical by the column's affinity (https://www.sqlite.org/datatype3.html §3.2, §4.2).
 *
 * A number against a text column stays undefined: what text it becomes depends on how the driver binds it (`1` or `1.0`).
 */
export function canonicalKey(value: unknown, affinity: Affinity): CanonicalKey {
  if (value === null) return null;
  if (typeof value === 'boolean') return affinity === 'text' ? undefined : value ? '1' : '0';
  if (affinity === 'text') return typeof value === 'string' ? value : undefined;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value + 0) : undefined;
  if (typeof value !== 'string') return undefined;
  if (INTEGER_TEXT.test(value)) return value === '-0' ? '0' : isInt64(value) ? value : undefined;
  if (!NUMERIC_TEXT.test(value)) return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? String(number + 0) : undefined;
}

const isInt64 = (digits: string): boolean => BigInt.asIntN(64, BigInt(digits)) === BigInt(digits);
