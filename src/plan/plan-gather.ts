import { UnsupportedStatementError } from '../errors';
import { type Column, findColumn, type Table } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { columnsIn, functionsIn, selectsIn, unstableIn } from '../sql/functions';
import { jsonOf } from '../sql/json-values';
import { MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { foldName, isName, isOp, isWord, quoteName, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import type { GatherStep, GatherTable } from './plan';
import { reachesOf } from './reach';
import { resolve, type TableRef } from './scope';

/** D1 takes at most 32 arguments to a function; `json_array` is called once for each so many columns. */
export const COLUMNS_PER_ARRAY = 30;

/**
 * Plans to fetch the rows that a statement needs from every shard and to run it untouched on one, with a CTE in the place of
 * each table.
 */
export function planGather(parsed: Parsed, binder: Binder): GatherStep {
  const gathered = binder.refs.filter((ref) => ref.table.placement.kind !== 'replicated');
  const byTable = new Map<string, TableRef[]>();
  for (const ref of gathered) {
    const name = foldName(ref.table.name);
    byTable.set(name, [...(byTable.get(name) ?? []), ref]);
  }
  const { tokens } = parsed;
  const withWords = isWord(tokens[0], 'with') ? (isWord(tokens[1], 'recursive') ? 2 : 1) : 0;
  // `main.users` would reach behind the CTE, and a CTE has no indexes to be told of.
  const skip = [...gathered.flatMap((ref) => ref.source.hints), ...schemaQualifiers(tokens)];
  // The rows that are fetched are bound besides, a few values.
  const compact = parsed.paramCount > MAX_PARAMS / 2;
  const hidden = gathered.find((ref) => binder.cteNames.has(foldName(ref.table.name)));
  if (hidden) {
    throw new UnsupportedStatementError(
      `A CTE of the statement is called ${hidden.table.name}, like a table that it reads.`,
      {
        tables: [hidden.table.name],
        sql: parsed.sql,
        remedy: 'Give the CTE another name.',
      },
    );
  }
  const copy = (range: Range) => new SqlWriter(parsed.sql, tokens).copy(range, { skip, compact }).done();
  const end = binder.parsed.statement.range.to;
  return {
    tables: [...byTable.values()].map((refs) => planTable(parsed, refs)),
    head: copy({ from: 0, to: withWords }),
    body: copy({ from: withWords, to: end }),
    hasWith: withWords > 0,
  };
}

/** `main.` of `main.users.name`. */
const schemaQualifiers = (tokens: readonly Token[]): Range[] =>
  tokens.flatMap((token, i) =>
    foldName(token.value) === 'main' && isOp(tokens[i + 1], '.') && isOp(tokens[i + 3], '.')
      ? [{ from: i, to: i + 2 }]
      : [],
  );

function planTable(parsed: Parsed, refs: readonly TableRef[]): GatherTable {
  const { table } = refs[0] as TableRef;
  const columns = neededColumns(parsed.tokens, table);
  return { table, columns, fetch: writeFetch(parsed, table, columns, refs), reaches: reachesOf(refs) };
}

/** Columns whose name stands anywhere in the statement, or all of them where there is a star. */
function neededColumns(tokens: readonly Token[], table: Table): readonly Column[] {
  if (
    tokens.some((token, i) => isOp(token, '*') && isStar(tokens[i - 1])) ||
    tokens.some((token) => isWord(token, 'natural'))
  ) {
    return table.columns;
  }
  const names = new Set(tokens.flatMap((token) => (isName(token) ? [foldName(token.value)] : [])));
  const needed = table.columns.filter((column) => names.has(foldName(column.name)));
  return needed.length > 0 ? needed : table.columns.slice(0, 1);
}

/** A star that stands for columns comes after these; elsewhere it multiplies, or is the one of count(*). */
const isStar = (before: Token | undefined): boolean =>
  ['select', 'distinct', 'all', 'returning'].some((word) => isWord(before, word)) ||
  isOp(before, ',') ||
  isOp(before, '.');

function writeFetch(parsed: Parsed, table: Table, columns: readonly Column[], refs: readonly TableRef[]): Template {
  const writer = new SqlWriter(parsed.sql, parsed.tokens);
  const unusual = columns.map((column) => `typeof(${quoteName(column.name)}) in (${strayTypes(column)})`);
  writer.text(`select 1 in (${unusual.join(', ')}) as "x"`);
  for (let i = 0; i < columns.length; i += COLUMNS_PER_ARRAY) {
    const values = columns.slice(i, i + COLUMNS_PER_ARRAY).map(({ name }) => jsonOf(quoteName(name)));
    writer.text(`, json_array(${values.join(', ')}) as "r${i / COLUMNS_PER_ARRAY}"`);
  }
  writer.text(` from ${quoteName(table.name)}`);
  const filters = refs.map((ref) => pushable(parsed.tokens, ref));
  const all = writer.done();
  if (filters.some((filter) => filter.length === 0)) return all;
  for (const [i, filter] of filters.entries()) {
    writer.text(i === 0 ? ' where (' : ' or (');
    for (const [j, range] of filter.entries()) {
      writer.text(j === 0 ? '(' : ' and (');
      // The fetch reads one table under its own name, so `p.title` becomes `"title"`.
      writer.copy(range, { skip: columnsIn(parsed.tokens, range).map((column) => column.qualifier), compact: true });
      writer.text(')');
    }
    writer.text(')');
  }
  const some = writer.done();
  return some.slots.length <= MAX_PARAMS ? some : all;
}

/** Types that the column's affinity leaves as they are although they are not its own. */
export const strayTypes = ({ affinity }: Column): string =>
  affinity === 'text' || affinity === 'blob' ? "'blob'" : "'text', 'blob'";

/**
 * The conditions on this mention of the table alone, which may go to the shards: those of WHERE, unless the table is the right
 * side of an outer join; then those of that join's ON.
 */
function pushable(tokens: readonly Token[], ref: TableRef): Range[] {
  const { core } = ref;
  const outer = [...core.outerConjuncts].find(([source]) => source.ref === ref)?.[1];
  const terms = ref.nullable ? (core.hasRightJoin || core.core.opaqueFrom ? [] : (outer ?? [])) : core.conjuncts;
  return terms.filter((range) => isAbout(ref, tokens, range));
}

function isAbout(ref: TableRef, tokens: readonly Token[], range: Range): boolean {
  const { aggregates, window } = functionsIn(tokens, range);
  if (aggregates.length > 0 || window || selectsIn(tokens, range).length > 0 || unstableIn(tokens, range)) return false;
  const columns = columnsIn(tokens, range);
  return columns.length > 0 && columns.every(({ path }) => resolve(ref.core.scope, path)?.ref === ref);
}

/** Does the statement name the row id of a table that has no column for it? */
export function namesRowid(tokens: readonly Token[], refs: readonly TableRef[]): boolean {
  return tokens.some((token, i) => {
    if (
      (token.kind !== 'word' && token.kind !== 'name') ||
      !['rowid', 'oid', '_rowid_'].includes(foldName(token.value))
    )
      return false;
    if (isOp(tokens[i + 1], '(') || isWord(tokens[i - 1], 'as')) return false;
    return !refs.some((ref) => findColumn(ref.table, token.value));
  });
}
