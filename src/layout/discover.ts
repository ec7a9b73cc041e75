import { UnknownTableError, UnsupportedStatementError } from '../errors';
import { unstableIn } from '../sql/functions';
import { splitCommas } from '../sql/reader';
import { foldName, isName, isOp, isWord, type Token, tokenize } from '../sql/tokens';
import { affinityOf, type Column, type TableShape } from './table';

export interface ColumnRow {
  name: string;
  type: string;
  pk: number;
  hidden: number;
  dflt_value: string | null;
  /** Left out where nobody needs to know. */
  notnull?: number;
}

export interface IndexRow {
  index: string;
  column: string | null;
}

/**
 * Asks a database for the shape of a table. One D1 round trip.
 *
 * @throws UnknownTableError when there is no such table; UnsupportedStatementError for a view.
 */
export async function discoverTable(d1: Pick<D1Database, 'prepare' | 'batch'>, name: string): Promise<TableShape> {
  const [columns, master, indexes] = (await d1.batch([
    d1.prepare('select name, type, pk, hidden, dflt_value, "notnull" from pragma_table_xinfo(?1)').bind(name),
    d1.prepare('select name, type, sql from sqlite_master where lower(name) = ?1').bind(foldName(name)),
    d1
      .prepare(
        `select l.name as "index", i.name as "column" from pragma_index_list(?1) l join pragma_index_info(l.name) i where l."unique" and l.origin <> 'pk' order by l.seq, i.seqno`,
      )
      .bind(name),
  ])) as [D1Result<ColumnRow>, D1Result<{ name: string; type: string; sql: string }>, D1Result<IndexRow>];
  const [found] = master.results;
  if (columns.results.length === 0 || !found) {
    throw new UnknownTableError(`There is no table ${name} on the shards.`, {
      tables: [name],
      remedy: 'Run its migration on every shard.',
    });
  }
  if (found.type === 'view') {
    throw new UnsupportedStatementError(`${name} is a view; which shards its rows come from cannot be told.`, {
      tables: [name],
      remedy: 'Query its tables, for instance through db.$with().',
    });
  }
  return shapeOf(found, columns.results, indexes.results);
}

/** The shape of a table by what SQLite's pragmas and its CREATE TABLE say. */
export function shapeOf(
  found: { readonly name: string; readonly sql: string },
  columns: readonly ColumnRow[],
  indexes: readonly IndexRow[],
): TableShape {
  const rows = columns.filter((row) => row.hidden !== 1);
  const keys = rows.filter((row) => row.pk > 0).sort((a, b) => a.pk - b.pk);
  const [single, ...more] = keys;
  const ddl = tokenize(found.sql ?? '');
  const collations = collationsOf(ddl);
  const isStrict =
    ddl.at(-1)?.value === 'strict' || ddl.some((token, i) => isWord(token, 'strict') && isOp(ddl[i - 1], ')'));
  const isAlias = single && more.length === 0 && /^integer$/i.test(single.type) && !/without\s+rowid/i.test(found.sql);
  return {
    name: found.name,
    columns: rows.map((row) => toColumn(row, collations, isStrict)),
    primaryKey: keys.map((row) => row.name),
    uniques: uniquesOf(indexes),
    foreignKeys: [],
    rowidAlias: isAlias ? single.name : undefined,
  };
}

const toColumn = (row: ColumnRow, collations: ReadonlyMap<string, string>, isStrict: boolean): Column => ({
  name: row.name,
  // https://www.sqlite.org/stricttables.html: ANY in a STRICT table converts nothing.
  affinity: isStrict && /^any$/i.test(row.type) ? 'blob' : affinityOf(row.type),
  collation: collations.get(foldName(row.name)) ?? 'BINARY',
  generated: row.hidden > 1,
  unstableDefault: row.dflt_value !== null && isUnstable(row.dflt_value),
  ...(row.notnull === 1 ? { notNull: true } : {}),
});

/** Does a DEFAULT give another value each time? */
export function isUnstable(expression: string): boolean {
  const tokens = tokenize(expression);
  return unstableIn(tokens, { from: 0, to: tokens.length }) !== undefined;
}

/** A column of an index that is an expression has no name; the list then holds an empty one. */
function uniquesOf(rows: readonly IndexRow[]): string[][] {
  const uniques = new Map<string, string[]>();
  for (const { index, column } of rows) uniques.set(index, [...(uniques.get(index) ?? []), column ?? '']);
  return [...uniques.values()];
}

/** No pragma tells a column's collation: it is read from CREATE TABLE. */
function collationsOf(tokens: readonly Token[]): Map<string, string> {
  const open = tokens.findIndex((token) => isOp(token, '('));
  const collations = new Map<string, string>();
  if (open < 0) return collations;
  for (const { from, to } of splitCommas(tokens, { from: open + 1, to: (tokens[open] as Token).match })) {
    const column = tokens[from] as Token;
    const isConstraint = ['constraint', 'check', 'unique', 'primary', 'foreign'].some((word) => isWord(column, word));
    if (isConstraint || !isName(column)) continue;
    for (let i = from + 1; i < to; i++) {
      const token = tokens[i] as Token;
      if (isOp(token, '(')) i = token.match;
      else if (isWord(token, 'collate'))
        collations.set(foldName(column.value), (tokens[i + 1] as Token).value.toUpperCase());
    }
  }
  return collations;
}
