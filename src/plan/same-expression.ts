import type { Range } from '../sql/ast';
import { isOp, type Token } from '../sql/tokens';

/** Bound values, by position, that have to be the same. */
export type SameValues = readonly [number, number];

export interface SameExpression extends Range {
  /** Two parameters are the same when what is bound to them is. */
  readonly assumed: readonly SameValues[];
}

/**
 * The expression that begins at `from`, if it is the one of `range`: the same tokens, but for columns, which may be named
 * with their table or without. Drizzle leaves the table out in the select list, and writes it in GROUP BY.
 *
 * @param columnOf What a name stands for; undefined when it is no column.
 */
export function sameExpression(
  tokens: readonly Token[],
  range: Range,
  from: number,
  limit: number,
  columnOf: (path: Range) => unknown,
): SameExpression | undefined {
  const assumed: SameValues[] = [];
  let to = from;
  for (let at = range.from; at < range.to; ) {
    const [left, right] = [tokens[at] as Token, tokens[to]];
    if (!right || to >= limit) return undefined;
    const [a, b] = [nameAt(tokens, at, range.to), nameAt(tokens, to, limit)];
    if (a && b) {
      const column = textOf(tokens, a) === textOf(tokens, b) || columnOf(a);
      if (!column || (column !== true && column !== columnOf(b))) return undefined;
      at = a.to;
      to = b.to;
      continue;
    }
    if (left.kind === 'param' && right.kind === 'param') {
      if (left.param !== right.param) assumed.push([left.param, right.param]);
    } else if (left.text !== right.text) return undefined;
    at++;
    to++;
  }
  return { from, to, assumed };
}

/** The same tokens, and no parameters but those that are bound once. */
export function isSameText(tokens: readonly Token[], a: Range, b: Range): boolean {
  const same = sameExpression(tokens, a, b.from, b.to, () => undefined);
  return same?.to === b.to && same.assumed.length === 0;
}

/** `a`, `t.a`, or a keyword. */
function nameAt(tokens: readonly Token[], from: number, limit: number): Range | undefined {
  let to = from;
  for (;;) {
    const kind = tokens[to]?.kind;
    if (to >= limit || (kind !== 'word' && kind !== 'name')) return undefined;
    to++;
    if (to >= limit || !isOp(tokens[to], '.')) break;
    to++;
  }
  return isOp(tokens[to], '(') ? undefined : { from, to };
}

const textOf = (tokens: readonly Token[], { from, to }: Range): string =>
  tokens
    .slice(from, to)
    .map(({ text }) => text)
    .join('');
