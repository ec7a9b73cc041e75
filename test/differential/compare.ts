/** What SQL says about the rows of a query. */
export interface Ordering {
  /** `exact`: each row has its place. `any`: which rows is fixed, their order is not. `count`: only how many there are. */
  readonly rows: 'exact' | 'any' | 'count';
  /** Positions of outputs by which the rows are ordered, though rows with equal ones may change places. */
  readonly keys: readonly number[];
  /** Text that differs in case alone may stand for each other: a column with COLLATE NOCASE in GROUP BY or DISTINCT. */
  readonly fold: boolean;
}

/** What is wrong with `got`, or undefined. */
export function difference(
  expected: readonly unknown[],
  got: readonly unknown[],
  ordering: Ordering,
): string | undefined {
  if (expected.length !== got.length) {
    return `${expected.length} rows expected, ${got.length} rows came.\n${listed(expected, got, ordering.fold)}`;
  }
  if (ordering.rows === 'count') return undefined;
  const left = expected.map((row) => canonical(row, ordering.fold));
  const right = got.map((row) => canonical(row, ordering.fold));
  if (ordering.rows === 'exact') {
    const at = left.findIndex((row, i) => row !== right[i]);
    return at < 0
      ? undefined
      : `Row ${at} differs.\n  expected ${left[at]}\n  got      ${right[at]}${alsoSorted(left, right)}`;
  }
  if (sorted(left) !== sorted(right)) return `Other rows came.\n${listed(expected, got, ordering.fold)}`;
  if (ordering.keys.length === 0) return undefined;
  const keys = (rows: readonly unknown[]) =>
    rows.map((row) =>
      canonical(
        ordering.keys.map((i) => flat(row)[i]),
        true,
      ),
    );
  const [wanted, came] = [keys(expected), keys(got)];
  const at = wanted.findIndex((key, i) => key !== came[i]);
  return at < 0 ? undefined : `The rows are in another order: row ${at} should have ${wanted[at]} and has ${came[at]}.`;
}

/** One text for each row, with the type of each value. */
export function canonical(value: unknown, fold = false): string {
  return JSON.stringify(plain(value, fold));
}

function plain(value: unknown, fold: boolean): unknown {
  if (value === undefined) return { undefined: true };
  if (typeof value === 'bigint') return { bigint: `${value}` };
  if (typeof value === 'string') return fold ? foldCase(value) : value;
  // JSON has no minus zero, and D1 sends JSON.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : { number: `${value}` };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return { date: value.getTime() };
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value))
    return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] };
  if (Array.isArray(value)) return value.map((item) => plain(item, fold));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, fold)]));
}

/** As NOCASE does: ASCII only. */
const foldCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

const flat = (row: unknown): unknown[] => (Array.isArray(row) ? row : Object.values(row as Record<string, unknown>));

const sorted = (rows: readonly string[]): string => [...rows].sort().join('\n');

function alsoSorted(left: readonly string[], right: readonly string[]): string {
  return sorted(left) === sorted(right) ? '\n  (The same rows in another order.)' : '';
}

/** The rows that only one side has. */
function listed(expected: readonly unknown[], got: readonly unknown[], fold: boolean): string {
  const left = expected.map((row) => canonical(row, fold));
  const right = got.map((row) => canonical(row, fold));
  const without = (rows: readonly string[], others: readonly string[]) => {
    const rest = [...others];
    return rows.filter((row) => {
      const at = rest.indexOf(row);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
  };
  const show = (rows: readonly string[]) =>
    rows.length === 0
      ? '    none'
      : rows
          .slice(0, 8)
          .map((row) => `    ${row}`)
          .join('\n');
  return `  only expected:\n${show(without(left, right))}\n  only got:\n${show(without(right, left))}`;
}
