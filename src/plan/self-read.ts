import { sameName, writtenColumn } from '../layout/table';
import type { Modification, Range } from '../sql/ast';
import { selectsIn } from '../sql/functions';
import { foldName, isOp, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import { resolve, type Scope, type TableRef } from './scope';

/** Behind these a subquery may first be worked out when rows were written already. */
const LAZY = new Set(['case', 'iif', 'if', 'and', 'or']);
/** Their first argument is always worked out. */
const LAZY_AFTER_FIRST = new Set(['coalesce', 'ifnull']);

/**
 * Does a subquery in SET read what the same UPDATE has changed in the rows before? It does if it is worked out for each row, or
 * first for a later one. One database shows it those changes; found before the first write, the values would be others. What
 * stands in FROM is read first anyway.
 */
export function readsOwnChanges(
  statement: Modification,
  target: TableRef,
  setRefs: readonly TableRef[],
  binder: Binder,
): boolean {
  if (statement.from.length > 0 || !setRefs.some(({ table }) => table === target.table)) return false;
  const { tokens } = binder;
  const written = statement.set.flatMap(({ columns }) => columns.map((name) => writtenColumn(target.table, name)));
  return statement.set.some(({ value }) =>
    selectsIn(tokens, value).some((range) => {
      const { isCorrelated, reads } = namesIn(range, target, written, binder);
      // What a CTE reads stands elsewhere.
      return (reads || statement.ctes.length > 0) && (isCorrelated || isLazy(tokens, value, range));
    }),
  );
}

function isLazy(tokens: readonly Token[], { from }: Range, select: Range): boolean {
  for (let i = from; i < select.from; i++) {
    const name = foldName((tokens[i] as Token).value);
    if (LAZY.has(name) || (LAZY_AFTER_FIRST.has(name) && i + 3 !== select.from)) return true;
  }
  return false;
}

/** Whether a subquery names, at any depth, columns of the row that is written, and written columns of other rows. */
function namesIn(range: Range, target: TableRef, written: readonly string[], binder: Binder) {
  const { tokens } = binder;
  const scopeAt = scopesOf(range, binder);
  const { table } = target;
  const isWritten = (name: string) => written.some((one) => sameName(one, writtenColumn(table, name)));
  let isCorrelated = false;
  let reads = false;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    const before = tokens[i - 1];
    // All columns. Behind a name it may be a product as well.
    if (isOp(token, '*') && (isOp(before, '.') || isOp(before, ',') || before?.kind === 'word')) reads = true;
    if ((token.kind !== 'word' && token.kind !== 'name') || isOp(tokens[i + 1], '(')) continue;
    if (foldName(token.value) === 'natural') reads = true;
    const path = [token.value];
    const scope = scopeAt(i);
    for (; isOp(tokens[i + 1], '.') && !isOp(tokens[i + 2], '*'); i += 2) path.push((tokens[i + 2] as Token).value);
    const ref = resolve(scope, path)?.ref;
    const name = path.at(-1) as string;
    // ORDER BY and LIMIT stand behind their SELECT: what is named there is taken to be of either row.
    if (ref === target || (!scope && isColumnOf(target, path))) isCorrelated = true;
    if (ref !== target && (!ref || ref.table === table) && isWritten(name)) reads = true;
  }
  return { isCorrelated, reads };
}

/** The scope of the innermost SELECT at a token. */
function scopesOf(range: Range, { selects }: Binder): (at: number) => Scope | undefined {
  const cores = selects
    .flatMap((bound) => bound.cores.map(({ core, scope }) => ({ ...core.range, scope })))
    .filter(({ from, to }) => from >= range.from && to <= range.to)
    .sort((a, b) => a.to - a.from - (b.to - b.from));
  return (at) => cores.find(({ from, to }) => from <= at && at < to)?.scope;
}

const isColumnOf = ({ table, alias }: TableRef, path: readonly string[]): boolean =>
  path.length > 1
    ? sameName(path.at(-2) as string, alias)
    : table.columns.some(({ name }) => sameName(name, path[0] as string));
