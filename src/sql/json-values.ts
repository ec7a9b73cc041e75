import { UnsupportedStatementError } from '../errors';
import { quoteName } from './tokens';

/**
 * Rows travel between databases as JSON text that SQLite makes and SQLite reads; JavaScript never parses it. So 64-bit
 * integers stay exact, and 1 and 1.0 stay apart. JSON has no blobs: one is an array with its hex digits.
 */

/** The column as an element of `json_array(...)`. */
export const jsonOf = (column: string): string =>
  `case typeof(${column}) when 'blob' then json_array(hex(${column})) else ${column} end`;

/** The element at a path of the JSON column `value`, as it was before {@link jsonOf}. */
export const valueAt = (path: string): string =>
  `case json_type(value, '${path}') when 'array' then unhex(value->>'${path}[0]') else value->>'${path}' end`;

/** D1 takes at most 32 arguments to a function: a row of more values is an array of arrays. */
const VALUES_PER_ARRAY = 30;

/** Columns as one JSON array, whose elements {@link rowPath} finds. */
export function jsonRow(columns: readonly string[]): string {
  const arrays: string[] = [];
  for (let i = 0; i < columns.length; i += VALUES_PER_ARRAY) {
    arrays.push(
      `json_array(${columns
        .slice(i, i + VALUES_PER_ARRAY)
        .map(jsonOf)
        .join(', ')})`,
    );
  }
  return columns.length <= VALUES_PER_ARRAY ? (arrays[0] ?? 'json_array()') : `json_array(${arrays.join(', ')})`;
}

/** Where in a {@link jsonRow} of `count` columns that of number `at` stands; `before` leads to the row. */
export const rowPath = (before: string, at: number, count: number): string =>
  count <= VALUES_PER_ARRAY
    ? `${before}[${at}]`
    : `${before}[${Math.floor(at / VALUES_PER_ARRAY)}][${at % VALUES_PER_ARRAY}]`;

/** The rows of `json_each(?)` over {@link jsonText}. */
export const LISTED_VALUE = `case type when 'array' then unhex(value->>0) else value end`;

/**
 * A bound value as JSON text, in the same form. As when D1 binds them, numbers are REAL, and infinities and NaN are null
 * (seen on the local runtime).
 */
export function jsonText(value: unknown): string {
  if (value instanceof ArrayBuffer) return `["${hexOf(new Uint8Array(value))}"]`;
  if (ArrayBuffer.isView(value))
    return `["${hexOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}"]`;
  if (Array.isArray(value)) return `["${hexOf(value)}"]`;
  if (!['string', 'number', 'boolean'].includes(typeof value) && value !== null) {
    throw new UnsupportedStatementError(`A value of type ${typeof value} cannot be bound.`, {
      remedy: 'Bind text, numbers, booleans, null or bytes.',
    });
  }
  const text = JSON.stringify(value);
  return typeof value === 'number' && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

const hexOf = (bytes: Iterable<number>): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** `(a, b) in (select ...)` over rows of JSON arrays. */
export const inRows = (columns: readonly string[]): [before: string, after: string] => [
  `(${columns.map(quoteName).join(', ')}) in (select ${columns.map((_, i) => valueAt(`$[${i}]`)).join(', ')} from json_each(`,
  '))',
];

/** A bound string may be 2 MB; a UTF-16 unit is at most 3 bytes of UTF-8. */
const BOUND_LENGTH = 600_000;

/** JSON texts as JSON arrays, each short enough to be bound unless one text alone is longer; one empty array for none. */
export function joinWithin(texts: readonly string[]): string[] {
  const arrays: string[] = [];
  let from = 0;
  let size = 0;
  for (const [i, text] of texts.entries()) {
    if (size + text.length > BOUND_LENGTH && i > from) {
      arrays.push(`[${texts.slice(from, i).join(',')}]`);
      from = i;
      size = 0;
    }
    size += text.length + 1;
  }
  arrays.push(`[${texts.slice(from).join(',')}]`);
  return arrays;
}

/** D1 takes at most 5 terms in a compound SELECT; more are nested. */
const COMPOUND_TERMS = 5;

/** The rows of all these selects, which have these columns. */
export function unionOf(selects: readonly string[], columns: string): string {
  if (selects.length <= COMPOUND_TERMS) return selects.join(' union all ');
  const size = COMPOUND_TERMS ** Math.ceil(Math.log(selects.length) / Math.log(COMPOUND_TERMS) - 1);
  const groups: string[] = [];
  for (let i = 0; i < selects.length; i += size)
    groups.push(`select ${columns} from (${unionOf(selects.slice(i, i + size), columns)})`);
  return unionOf(groups, columns);
}
