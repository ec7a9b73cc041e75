import type { BoundStatement } from '../sql/bound';
import { jsonOf, valueAt } from '../sql/json-values';
import { bound, name, raw, type Sql, sql } from '../sql/tag';
import { quoteName } from '../sql/tokens';
import type { CarriedTable } from './carry';

/** D1 takes at most 32 arguments to a function, so that longer rows are arrays of arrays. */
const COLUMNS_PER_ARRAY = 32;

/** A row as a JSON array, in SQL. SQLite writes it and SQLite reads it: see json-values.ts. */
export function rowJson({ columns }: Pick<CarriedTable, 'columns'>): Sql {
  const values = columns.map((column) => jsonOf(quoteName(column)));
  if (values.length <= COLUMNS_PER_ARRAY) return raw(`json_array(${values.join(', ')})`);
  const groups = Array.from({ length: Math.ceil(values.length / COLUMNS_PER_ARRAY) }, (_, i) =>
    values.slice(i * COLUMNS_PER_ARRAY, (i + 1) * COLUMNS_PER_ARRAY),
  );
  return raw(`json_array(${groups.map((group) => `json_array(${group.join(', ')})`).join(', ')})`);
}

/** One column of a row that {@link rowJson} has made, out of the column `value`. */
export const valueAtPlace = (columns: readonly string[], at: number): string =>
  valueAt(
    columns.length <= COLUMNS_PER_ARRAY
      ? `$[${at}]`
      : `$[${Math.floor(at / COLUMNS_PER_ARRAY)}][${at % COLUMNS_PER_ARRAY}]`,
  );

/** The columns of a row that {@link rowJson} has made, out of the column `value` of `json_each`. */
export const rowValues = ({ columns }: CarriedTable): Sql =>
  raw(columns.map((_, i) => valueAtPlace(columns, i)).join(', '));

export const columnList = (columns: readonly string[]): Sql => raw(columns.map(quoteName).join(', '));

/** A row holds a number that JSON would change. */
const isLossy = ({ columns }: CarriedTable): Sql =>
  raw(
    `1 in (${columns
      .map(quoteName)
      // CASE, because AND evaluates both its sides, and JSON refuses a blob.
      .map((column) => `case typeof(${column}) when 'real' then json_array(${column})->>0 is not ${column} end`)
      .join(', ')})`,
  );

/** Characters of JSON that one page holds at most, unless one row alone is longer. D1 binds up to 2 MB, in UTF-8. */
const PAGE_CHARS = 400_000;
const MAX_ROWS = 5000;
/** How many rows the first page of a table looks at: nothing is known of their length yet. */
export const FIRST_ROWS = 1000;

/** A row of the answer to {@link pageStatement}. */
export interface PagedRow {
  readonly row: string;
  /** Where it stands: text, because JavaScript would round a row id beyond 2^53. */
  readonly at: string;
  /** 1: it would not arrive as it is. */
  readonly lossy: number;
  /** How many rows there were to choose from. */
  readonly total: number;
}

/** Is there nothing after this page, which has looked at `limit` rows? */
export const isLastPage = (page: readonly PagedRow[], limit: number): boolean =>
  page.length === (page[0]?.total ?? 0) && page.length < limit;

/**
 * How many rows the next page should look at. A page makes JSON of all rows that it looks at and gives those that are not too
 * long together: looking at many more than that, page after page, would take the square of the time.
 */
export function nextLimit(page: readonly PagedRow[], limit: number): number {
  const chars = page.reduce((sum, { row }) => sum + row.length, 0);
  const fitting = Math.ceil((page.length * PAGE_CHARS) / Math.max(chars, 1));
  // Grows slowly: short rows may be followed by long ones.
  return Math.max(1, Math.min(fitting, 2 * limit, MAX_ROWS));
}

/**
 * The next rows of a table after the one at `after`, in the order of the row id or the primary key. They must not change
 * meanwhile.
 *
 * @param which A condition on the rows; undefined for all.
 * @param limit How many rows it looks at; see {@link nextLimit}.
 */
export function pageStatement(
  table: CarriedTable,
  which: Sql | undefined,
  after: string | undefined,
  limit: number,
): BoundStatement {
  // With the table's name: a bare one would mean the column `at` of the answer, where the table has such a column too.
  const columns = table.rowid === undefined ? table.primaryKey : [table.rowid];
  const order = raw(columns.map((column) => `${quoteName(table.name)}.${quoteName(column)}`).join(', '));
  const at = table.rowid === undefined ? rowJson({ columns }) : sql`cast(${order} as text)`;
  const conditions = sql`${which ?? raw('true')}${after === undefined ? raw('') : sql` and ${isAfter(table, after)}`}`;
  return bound(sql`select "row", "at", lossy, total from (
    select *, count(*) over () as total, sum(length("row")) over (order by n) as running from (
      select ${rowJson(table)} as "row", ${at} as "at", ${isLossy(table)} as lossy, row_number() over (order by ${order}) as n
      from ${name(table.name)} where ${conditions} order by ${order} limit ${limit}))
    where running <= ${PAGE_CHARS} or n = 1 order by n`);
}

function isAfter({ rowid, primaryKey }: CarriedTable, after: string): Sql {
  if (rowid !== undefined) return sql`${name(rowid)} > cast(${after} as integer)`;
  const values = primaryKey.map((_, i) => valueAt(`$[${i}]`)).join(', ');
  return sql`(${columnList(primaryKey)}) > (select ${raw(values)} from (select ${after} as value))`;
}
