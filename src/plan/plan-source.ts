import type { Table } from '../layout/table';
import { sameName } from '../layout/table';
import type { Core, Insert, Parsed, Range } from '../sql/ast';
import { jsonRow, rowPath, valueAt } from '../sql/json-values';
import { SqlWriter } from '../sql/template';
import { quoteName } from '../sql/tokens';
import type { SourceStep } from './plan';
import { type ReturnedColumn, writeReturning } from './positional';

interface SourceOptions {
  readonly table: Table;
  /** The columns that values are given for, in their order. */
  readonly columns: readonly string[];
  /** Its number is given to rows that leave it out. */
  readonly idColumn: string | undefined;
  /** RETURNING with names of ours. */
  readonly renamed: readonly ReturnedColumn[] | undefined;
}

/**
 * An INSERT in two steps: what follows its column list is read like any SELECT, and each row of it travels as JSON that SQLite
 * made and SQLite reads, so that the columns' affinities see the very values that the SELECT gave.
 */
export function planSource(parsed: Parsed, statement: Insert, options: SourceOptions): SourceStep {
  const { table, columns, idColumn } = options;
  const { placement } = table;
  const keyName = placement.kind === 'sharded' ? placement.key.name : undefined;
  const drops = statement.conflictAction === 'ignore' || statement.onConflict.some((one) => !one.update || one.where);
  const returnsKey = statement.returning !== undefined && drops && keyName !== undefined;
  return {
    find: writeFind(parsed, statement, columns, keyName, idColumn ?? table.rowidAlias),
    head: writeHead(parsed, statement, options),
    tail: writeTail(parsed, statement, options.renamed, returnsKey ? keyName : undefined),
    returnsKey,
  };
}

/** The highest id that the rows of an INSERT come with, before they are inserted. */
export function readHighestId(parsed: Parsed, statement: Insert, columns: readonly string[], idName: string) {
  const find = writeFind(parsed, statement, columns, undefined, idName);
  const writer = new SqlWriter(parsed.sql, parsed.tokens).text('select max(cast("__shard_id" as integer)) from (');
  return writer.append(find).text(')').done();
}

/** The same of a SELECT that makes each row of one row of its tables, in a form of which each shard answers its part. */
export function readHighestOf(parsed: Parsed, { range, columnsEnd }: Core, id: Range) {
  const writer = new SqlWriter(parsed.sql, parsed.tokens).text('select max(cast(').copy(id).text(' as integer)) ');
  return writer.copy({ from: columnsEnd, to: range.to }).done();
}

function writeFind(
  parsed: Parsed,
  statement: Insert,
  columns: readonly string[],
  keyName: string | undefined,
  idName: string | undefined,
) {
  const { sql, tokens } = parsed;
  const { select, rows = [], ctes, range } = statement;
  const named = columns.map((_, i) => `"__shard_${i}"`);
  const textOf = (wanted: string | undefined) => {
    const at = columns.findIndex((name) => wanted !== undefined && sameName(name, wanted));
    return at < 0 ? 'null' : `cast(${named[at]} as text)`;
  };
  const blob = (wanted: string | undefined) => {
    const at = columns.findIndex((name) => wanted !== undefined && sameName(name, wanted));
    return at < 0 ? '0' : `typeof(${named[at]}) = 'blob'`;
  };
  const writer = new SqlWriter(sql, tokens);
  if (ctes.length > 0) writer.copy({ from: range.from, to: statement.verb }).text(', ');
  else writer.text('with ');
  // Materialized, so that what is different each time is worked out once. The line ends a comment.
  writer.text(`"__shard_source"(${named.join(', ')}) as materialized (`);
  if (select) writer.copy(select.range, { compact: true });
  else writer.copy({ from: (rows[0]?.range.from ?? 1) - 1, to: rows.at(-1)?.range.to ?? 0 }, { compact: true });
  writer.text(`\n) select ${textOf(keyName)} as "__shard_key", ${blob(keyName)} as "__shard_blob"`);
  writer.text(`, ${textOf(idName)} as "__shard_id", ${jsonRow(named)} as "__shard_row"`);
  // The order of the rows is that of RETURNING: a window makes one database finish the SELECT as it stands.
  if (select && (select.orderBy.length > 0 || select.limitClause))
    writer.text(', row_number() over () as "__shard_at"');
  return writer.text(' from "__shard_source"').done();
}

function writeHead(parsed: Parsed, statement: Insert, { columns, idColumn }: SourceOptions) {
  const { columnsRange } = statement;
  const writer = new SqlWriter(parsed.sql, parsed.tokens);
  writer.copy({ from: statement.verb, to: columnsRange.from });
  const isId = (name: string) => idColumn !== undefined && sameName(name, idColumn);
  const values = columns.map((name, i) => {
    const value = valueAt(rowPath('$[1]', i, columns.length));
    return isId(name) ? `coalesce(value->>'$[0]', ${value})` : value;
  });
  const addsId = idColumn !== undefined && !columns.some(isId);
  const names = addsId ? [idColumn, ...columns] : columns;
  writer.text(` (${names.map(quoteName).join(', ')}) `);
  return writer.text(`select ${(addsId ? ["value->>'$[0]'", ...values] : values).join(', ')} from json_each(`).done();
}

function writeTail(
  { sql, tokens }: Parsed,
  { select, rows, returningRange, range }: Insert,
  renamed: readonly ReturnedColumn[] | undefined,
  keyName: string | undefined,
) {
  const from = select?.range.to ?? rows?.at(-1)?.range.to ?? range.to;
  // Without WHERE, ON CONFLICT would be read as the ON of a join.
  const writer = new SqlWriter(sql, tokens).text(') where true ');
  writer.copy({ from, to: (renamed ? returningRange?.from : undefined) ?? range.to });
  if (renamed) writeReturning(writer.text(' '), renamed);
  if (keyName !== undefined) writer.text(`, cast(${quoteName(keyName)} as text) as "__shard_key"`);
  return writer.done();
}
