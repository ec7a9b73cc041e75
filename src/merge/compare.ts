/** NULL < numbers < text < blobs: https://www.sqlite.org/datatype3.html §4.1 */
const rank = (value: unknown): number =>
  value === null || value === undefined ? 0 : isNumber(value) ? 1 : typeof value === 'string' ? 2 : 3;

const isNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

/**
 * Compares two values as SQLite's ORDER BY does; NULL is less than everything. Values are as D1 hands them out (a blob is an
 * array of its bytes), or a bigint where a number would not be exact.
 */
export function compareValues(a: unknown, b: unknown, collation: string): number {
  const byRank = rank(a) - rank(b);
  if (byRank !== 0) return byRank;
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return compareText(collate(a, collation), collate(b, collation));
  if (rank(a) === 3) return compareBytes(bytesOf(a), bytesOf(b));
  return 0;
}

function collate(text: string, collation: string): string {
  // NOCASE folds the 26 letters of ASCII only; RTRIM ignores spaces at the end: https://www.sqlite.org/datatype3.html §7
  if (collation === 'NOCASE') return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
  if (collation === 'RTRIM') return text.replace(/ +$/, '');
  return text;
}

/** By code point, as memcmp orders UTF-8. JavaScript's own order is by UTF-16 unit, which differs above U+FFFF. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const bothSurrogatesOrNot = isSurrogate(x) === isSurrogate(y);
    return bothSurrogatesOrNot ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

const bytesOf = (value: unknown): ArrayLike<number> =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : (value as ArrayLike<number>);

function compareBytes(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
