import type { Column, Table } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { columnsIn } from '../sql/functions';
import { jsonOf } from '../sql/json-values';
import { type CopyOptions, MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { quoteName, type Token } from '../sql/tokens';
import type { Mention } from './mentions';
import { type Term, writeOrderColumns } from './order';
import type { GatherTop } from './plan';

/** D1 takes at most 32 arguments to a function; `json_array` is called once for each so many columns. */
export const COLUMNS_PER_ARRAY = 30;
/** The values of a link are bound in so many pieces at most. */
export const LINK_PARAMS = 20;

export interface Fetched {
  readonly table: Table;
  readonly columns: readonly Column[];
  /** Columns whose values later tables are asked by. */
  readonly gives: readonly Column[];
  readonly cut: (GatherTop & { readonly terms: readonly Term[] }) | undefined;
}

/** What says of a mention which rows of the table it needs. */
export type Wanted = Pick<Mention, 'filters' | 'lookups'>;

/**
 * Writes what fetches the rows of a table that some mentions of it need: those that meet the conditions of one of them.
 * Without the conditions, and whole, where these bind too many values.
 */
export function writeFetch(
  parsed: Parsed,
  { table, columns, gives, cut }: Fetched,
  mentions: readonly Wanted[],
): { readonly template: Template; readonly filtered: boolean; readonly cut: boolean } {
  const { tokens } = parsed;
  // The fetch reads one table under its own name, so `p.title` becomes `title`.
  const unqualified = (writer: SqlWriter, range: Range) => writer.copy(range, withoutQualifiers(tokens, range));
  const start = (terms: readonly Term[]) => {
    const writer = new SqlWriter(parsed.sql, tokens).text(`select ${rowsAsJson(columns)}`);
    for (const [i, { name }] of gives.entries())
      writer.text(`, json_array(${jsonOf(quoteName(name))}) as "__shard_v${i}"`);
    writeOrderColumns(writer, terms, (expr) =>
      typeof expr === 'string' ? writer.text(quoteName(expr)) : unqualified(writer, expr),
    );
    return writer.text(` from ${quoteName(table.name)}`);
  };
  const all = { template: start([]).done(), filtered: false, cut: false };
  const writer = start(cut?.terms ?? []);
  const filtered = mentions.every((one) => one.filters.length + one.lookups.length > 0);
  for (const [i, one] of (filtered ? mentions : []).entries()) {
    writer.text(i === 0 ? ' where (' : ' or (');
    writeConditions(writer, one, unqualified);
    writer.text(')');
  }
  if (cut) writeCut(writer, cut, unqualified);
  const template = writer.done();
  // The values of links are bound besides, and a list of keys.
  return template.slots.length <= MAX_PARAMS - LINK_PARAMS - 1 ? { template, filtered, cut: cut !== undefined } : all;
}

/** What is no name any more without its qualifier, is quoted: `p.'title'`, `p.current_date`. */
function withoutQualifiers(tokens: readonly Token[], range: Range): CopyOptions {
  const named = columnsIn(tokens, range).filter(({ qualifier }) => qualifier.to > qualifier.from);
  const replace = new Map<number, string>();
  for (const { qualifier } of named) {
    const { kind, value } = tokens[qualifier.to] as Token;
    if (kind === 'string' || value.startsWith('current_')) replace.set(qualifier.to, quoteName(value));
  }
  return { skip: named.map(({ qualifier }) => qualifier), replace, compact: true };
}

type CopyUnqualified = (writer: SqlWriter, range: Range) => SqlWriter;

/** `(...) and ("country" in (select "code" from "countries" where ...))`: what is looked up is on the same shard. */
function writeConditions(writer: SqlWriter, { filters, lookups }: Wanted, copy: CopyUnqualified): void {
  let count = 0;
  const next = () => writer.text(count++ === 0 ? '(' : ' and (');
  for (const range of filters) copy(next(), range).text(')');
  for (const { column, other, otherColumn, ...wanted } of lookups) {
    const [from, to, table] = [column.name, otherColumn.name, other.table.name].map(quoteName);
    next().text(`${from} in (select ${to} from ${table} where `);
    writeConditions(writer, wanted, copy);
    writer.text('))');
  }
}

function writeCut(
  writer: SqlWriter,
  { terms, limit, offset }: NonNullable<Fetched['cut']>,
  unqualified: CopyUnqualified,
): void {
  for (const [i, { expr, collation, descending, nulls }] of terms.entries()) {
    writer.text(i === 0 ? ' order by ' : ', ');
    (typeof expr === 'string' ? writer.text(quoteName(expr)) : unqualified(writer, expr)).text(
      `${collation === 'BINARY' ? '' : ` collate ${quoteName(collation)}`}${descending ? ' desc' : ''}${nulls === (descending ? 'last' : 'first') ? '' : ` nulls ${nulls}`}`,
    );
  }
  writer.text(' limit ').slot({ kind: 'page', limit, offset });
}

/**
 * A row as JSON arrays, and `__shard_x`: whether a value of it needs the exact decoding. No user's column may be called like
 * these: ORDER BY would mean them.
 */
export function rowsAsJson(columns: readonly Column[]): string {
  const unusual = columns.map((column) => `typeof(${quoteName(column.name)}) in (${strayTypes(column)})`);
  let sql = `1 in (${unusual.join(', ')}) as "__shard_x"`;
  for (let i = 0; i < columns.length; i += COLUMNS_PER_ARRAY) {
    const values = columns.slice(i, i + COLUMNS_PER_ARRAY).map(({ name }) => jsonOf(quoteName(name)));
    sql += `, json_array(${values.join(', ')}) as "__shard_r${i / COLUMNS_PER_ARRAY}"`;
  }
  return sql;
}

/** Types that the column's affinity leaves as they are although they are not its own. */
const strayTypes = ({ affinity }: Column): string =>
  affinity === 'text' || affinity === 'blob' ? "'blob'" : "'text', 'blob'";
