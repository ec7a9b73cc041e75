import { sameName, type Table, writtenColumn } from '../layout/table';
import type { Modification, Range } from '../sql/ast';
import { selectsIn } from '../sql/functions';
import { isOp, isWord, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import { resolve, type Scope, type TableRef } from './scope';

/**
 * Does a subquery in SET run once for each row, and read what the same UPDATE has changed in the rows before? One database
 * shows it those changes; found before the first write, the values would be others. What stands in FROM is read first anyway.
 */
export function readsOwnChanges(
  statement: Modification,
  target: TableRef,
  setRefs: readonly TableRef[],
  binder: Binder,
): boolean {
  if (statement.from.length > 0 || !setRefs.some(({ table }) => table === target.table)) return false;
  const { tokens } = binder;
  const ranges = statement.set.flatMap(({ value }) => selectsIn(tokens, value));
  const written = statement.set.flatMap(({ columns }) => columns.map((name) => writtenColumn(target.table, name)));
  return ranges.some(
    (range) =>
      isCorrelated(range, target, binder) && (statement.ctes.length > 0 || names(tokens, range, written, target.table)),
  );
}

/** A name in it, at any depth, is a column of the row that is written. */
function isCorrelated(range: Range, target: TableRef, binder: Binder): boolean {
  const { tokens } = binder;
  const cores = binder.selects
    .flatMap((bound) => bound.cores.map(({ core, scope }) => ({ range: core.range, scope })))
    .filter((one) => one.range.from >= range.from && one.range.to <= range.to);
  const scopeAt = (at: number): Scope | undefined =>
    cores
      .filter((one) => one.range.from <= at && at < one.range.to)
      .sort((a, b) => a.range.to - a.range.from - (b.range.to - b.range.from))[0]?.scope;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    if ((token.kind !== 'word' && token.kind !== 'name') || isOp(tokens[i + 1], '(')) continue;
    const path = [token.value];
    const from = i;
    for (; isOp(tokens[i + 1], '.'); i += 2) path.push((tokens[i + 2] as Token).value);
    // ORDER BY and LIMIT stand behind the cores: what is named there and not found is taken to be of the row.
    const scope = scopeAt(from);
    if (scope ? resolve(scope, path)?.ref === target : isColumnOf(target, path)) return true;
  }
  return false;
}

const isColumnOf = ({ table, alias }: TableRef, path: readonly string[]): boolean =>
  path.length > 1
    ? sameName(path.at(-2) as string, alias)
    : table.columns.some(({ name }) => sameName(name, path[0] as string));

/** Does a subquery name one of these columns, or all columns? */
function names(tokens: readonly Token[], { from, to }: Range, columns: readonly string[], table: Table): boolean {
  for (let i = from; i < to; i++) {
    const token = tokens[i] as Token;
    if (isWord(token, 'natural')) return true;
    if (isOp(token, '*') && (isOp(tokens[i - 1], '.') || isOp(tokens[i - 1], ',') || tokens[i - 1]?.kind === 'word')) {
      return true;
    }
    const isName = token.kind === 'word' || token.kind === 'name';
    if (isName && columns.some((name) => sameName(name, writtenColumn(table, token.value)))) return true;
  }
  return false;
}
