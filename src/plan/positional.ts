import type { Layout } from '../layout/layout';
import { findColumn, sameName, type Table } from '../layout/table';
import type { Insert, Modification, Parsed, Range, ResultColumn } from '../sql/ast';
import { columnEnd } from '../sql/conditions';
import { SqlWriter, type Template } from '../sql/template';
import { isOp, quoteName, type Token } from '../sql/tokens';
import { type BoundSelect, resolveRange } from './scope';

/**
 * Rows of a D1 batch come as objects, in which columns of one name collapse and names like `1` change places. Where the
 * caller wants arrays, such columns get names of ours.
 */
export interface Output {
  /** The columns' own names; undefined when only the database knows them. */
  readonly names: readonly string[] | undefined;
  /** The whole statement, each column under a name of its own; undefined when objects hold the columns as they are. */
  readonly positional: Template | undefined;
}

/** A statement without rows, or one whose columns have names that objects keep. */
export const PLAIN_OUTPUT: Output = { names: undefined, positional: undefined };

/** The output of a SELECT. */
export function selectOutput(parsed: Parsed, bound: BoundSelect, whole: Template): Output {
  const names = namesOf(parsed, bound);
  if (names ? !isAmbiguous(names) : isTableStar(bound)) return { names, positional: undefined };
  const trailing = parsed.tokens.slice(parsed.statement.range.to);
  const end = trailing.every((token) => isOp(token, ';')) && trailing[0]?.start;
  // The slots of `whole` go along with its text; only a semicolon has to be left out, which is behind all of them.
  const sql = end && whole.sql === parsed.sql ? parsed.sql.slice(0, end) : whole.sql;
  return { names, positional: { sql: positionalSelect(sql, names?.length), slots: whole.slots } };
}

/** A SELECT, each of its `count` columns under a name of its own; SQLite makes the names unique when there is no count. */
export function positionalSelect(sql: string, count: number | undefined): string {
  if (count === undefined) return `select * from (${sql}\n)`;
  const names = Array.from({ length: count }, (_, i) => `"__shard_${i}"`);
  return `with "__shard_rows"(${names.join(', ')}) as (${sql}\n) select * from "__shard_rows"`;
}

/** The output of RETURNING. */
export function returningOutput(
  parsed: Parsed,
  statement: Insert | Modification,
  table: Table,
  layout: Layout,
): Output & { readonly returning: readonly ReturnedColumn[] } {
  const { returning, returningRange, range } = statement;
  if (!returning || !returningRange) return { names: [], positional: undefined, returning: [] };
  const columns = returning.flatMap((column) => expand(column, returning, table, layout));
  const names = columns.map((column) => (column.star ? undefined : nameOf(parsed, table, column)));
  const known = names.every((name) => name !== undefined) ? (names as string[]) : undefined;
  if (!known || !isAmbiguous(known)) return { names: known, positional: undefined, returning: columns };
  const writer = new SqlWriter(parsed.sql, parsed.tokens).copy({ from: 0, to: returningRange.from });
  writeReturning(writer.text(' '), columns);
  return {
    names: known,
    positional: writer.copy({ from: returningRange.to, to: range.to }).done(),
    returning: columns,
  };
}

/** One item of RETURNING: an expression as written, or a column that a star stands for. */
export interface ReturnedColumn {
  readonly expr: Range | string;
  readonly alias: string | undefined;
  readonly star: boolean;
}

/** A star stays one where it stands alone: the names of a table's columns are different. */
function expand(
  { star, expr, alias }: ResultColumn,
  all: readonly ResultColumn[],
  table: Table,
  layout: Layout,
): ReturnedColumn[] {
  if (star === undefined) return [{ expr, alias, star: false }];
  if (all.length === 1 && !table.columns.some(({ name }) => NUMBER_LIKE.test(name)))
    return [{ expr, alias, star: true }];
  return layout.actual(table).columns.map(({ name }) => ({ expr: name, alias: undefined, star: false }));
}

function nameOf(parsed: Parsed, table: Table, { alias, expr }: ReturnedColumn): string {
  if (alias !== undefined || typeof expr === 'string') return alias ?? (expr as string);
  const written = columnName(parsed, expr);
  return columnEnd(parsed.tokens, expr) === expr.to ? (findColumn(table, written)?.name ?? written) : written;
}

/** `returning a as "__shard_0", ...` */
export function writeReturning(writer: SqlWriter, returning: readonly ReturnedColumn[]): SqlWriter {
  for (const [i, { expr }] of returning.entries()) {
    writer.text(i === 0 ? 'returning ' : ', ');
    (typeof expr === 'string' ? writer.text(quoteName(expr)) : writer.copy(expr)).text(` as "__shard_${i}"`);
  }
  return writer.text(' ');
}

const NUMBER_LIKE = /^\d+$/;

/** Would JavaScript objects lose a column of these names, or change the order? */
const isAmbiguous = (names: readonly string[]): boolean =>
  new Set(names).size < names.length || names.some((name) => NUMBER_LIKE.test(name));

/** `select * from t`: the columns of one table have different names. */
function isTableStar({ cores }: BoundSelect): boolean {
  const [first] = cores;
  const [column, ...more] = first?.core.columns ?? [];
  return (
    column?.star !== undefined &&
    more.length === 0 &&
    first?.sources.length === 1 &&
    first.sources[0]?.ref !== undefined
  );
}

/** Undefined where a star stands for columns: the database may have more of them than the schema. */
function namesOf(parsed: Parsed, { cores, columns: outputs }: BoundSelect): string[] | undefined {
  const [first] = cores;
  if (!first) return undefined;
  const { values, columns } = first.core;
  if (values.length > 0) return columns.map((_, i) => `column${i + 1}`);
  if (columns.some((column) => column.star !== undefined)) {
    // Names like numbers change places, so that these columns have to be counted after all.
    const names = outputs?.map(({ name }) => name);
    return names?.some((name) => NUMBER_LIKE.test(name)) ? names : undefined;
  }
  return columns.map(({ alias, expr }) => {
    if (alias !== undefined) return alias;
    const written = columnName(parsed, expr);
    // As the table spells it, not the statement; a subquery's column may be called otherwise than what is behind it.
    const name = resolveRange(first.scope, parsed.tokens, expr)?.column?.name;
    return name !== undefined && sameName(name, written) ? name : written;
  });
}

/** As SQLite names a result column: a column by its name, anything else by its text. */
function columnName({ sql, tokens }: Parsed, expr: Range): string {
  const [first, last] = [tokens[expr.from] as Token, tokens[expr.to - 1] as Token];
  if (columnEnd(tokens, expr) === expr.to) return last.value;
  // Up to the next token: a comment between belongs to the name.
  return sql.slice(first.start, tokens[expr.to]?.start).replace(/[ \t-\r]+$/, '');
}
