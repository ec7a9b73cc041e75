import type { Range } from './ast';
import { beginsSelect } from './parse-select';
import { splitCommas } from './reader';
import { isOp, isWord, type Token } from './tokens';

/** A value that a statement compares with: known now, or when the statement is bound. */
export type ValueRef =
  | { readonly kind: 'param'; readonly index: number }
  | { readonly kind: 'literal'; readonly value: string | number | bigint | null }
  /** Every element of a JSON array that is bound: `in (select value from json_each(?))`. */
  | { readonly kind: 'json'; readonly index: number };

/** One comparison that can be read; every other condition is unknown. */
export type Leaf =
  | { readonly kind: 'equal'; readonly column: Range; readonly value: ValueRef }
  | { readonly kind: 'in'; readonly column: Range; readonly values: readonly ValueRef[] }
  | { readonly kind: 'columns'; readonly left: Range; readonly right: Range }
  /** `column in (select ...)`; the range is the inside of the parentheses. */
  | { readonly kind: 'in-select'; readonly column: Range; readonly select: Range }
  | { readonly kind: 'false' };

/** Takes away parentheses that enclose the whole range. */
export function unwrap(tokens: readonly Token[], range: Range): Range {
  let { from, to } = range;
  while (
    to - from > 2 &&
    isOp(tokens[from], '(') &&
    tokens[from]?.match === to - 1 &&
    !beginsSelect(tokens[from + 1])
  ) {
    from++;
    to--;
  }
  return { from, to };
}

/**
 * Splits a condition at its outermost OR, or AND. They are SQLite's two lowest operators, so splitting outside parentheses
 * is exactly its precedence, once `BETWEEN x AND y` and `CASE ... END` are stepped over.
 */
export function splitCondition(tokens: readonly Token[], whole: Range, word: 'or' | 'and'): Range[] {
  const range = unwrap(tokens, whole);
  const parts: Range[] = [];
  let from = range.from;
  let cases = 0;
  let betweens = 0;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    if (isOp(token, '(')) i = token.match;
    else if (isWord(token, 'case')) cases++;
    else if (isWord(token, 'end') && cases > 0) cases--;
    else if (cases > 0) continue;
    else if (isWord(token, 'between')) betweens++;
    else if (isWord(token, 'and') && betweens > 0) betweens--;
    else if (isWord(token, word)) {
      parts.push({ from, to: i });
      from = i + 1;
    }
  }
  parts.push({ from, to: range.to });
  return parts;
}

/** Flattens nested ANDs: `(a and b) and c` → a, b, c. */
export function conjunctsOf(tokens: readonly Token[], range: Range): Range[] {
  const inner = unwrap(tokens, range);
  if (splitCondition(tokens, inner, 'or').length > 1) return [inner];
  const parts = splitCondition(tokens, inner, 'and');
  return parts.length === 1 ? [inner] : parts.flatMap((part) => conjunctsOf(tokens, part));
}

/** Reads a comparison if *all* its tokens match one of the known forms. */
export function readLeaf(tokens: readonly Token[], whole: Range): Leaf | undefined {
  const range = unwrap(tokens, whole);
  const { from, to } = range;
  if (
    to - from === 1 &&
    (isWord(tokens[from], 'false') || (tokens[from]?.kind === 'number' && Number(tokens[from]?.value) === 0))
  ) {
    return { kind: 'false' };
  }
  const at = operatorAt(tokens, range);
  if (at === undefined) return undefined;
  const left = unwrap(tokens, { from, to: at });
  const isColumn = (side: Range) => columnEnd(tokens, side) === side.to;
  if (isWord(tokens[at], 'in')) return isColumn(left) ? readIn(tokens, left, { from: at + 1, to }) : undefined;
  const right = unwrap(tokens, { from: at + 1, to });
  const [column, other] = isColumn(left) ? [left, right] : [right, left];
  if (!isColumn(column)) return undefined;
  const value = readValue(tokens, other);
  if (value) return { kind: 'equal', column, value };
  return isColumn(other) ? { kind: 'columns', left: column, right: other } : undefined;
}

/** The first `=` or IN outside parentheses. Another operator beside it makes one of its sides neither a column nor a value. */
function operatorAt(tokens: readonly Token[], { from, to }: Range): number | undefined {
  for (let i = from; i < to; i++) {
    const token = tokens[i] as Token;
    if (isOp(token, '=') || isOp(token, '==') || isWord(token, 'in')) return i;
    if (isOp(token, '(')) i = token.match;
  }
  return undefined;
}

function readIn(tokens: readonly Token[], column: Range, list: Range): Leaf | undefined {
  if (!isOp(tokens[list.from], '(') || tokens[list.from]?.match !== list.to - 1) return undefined;
  const inside = { from: list.from + 1, to: list.to - 1 };
  if (beginsSelect(tokens[inside.from])) {
    const json = readJsonList(tokens, inside);
    return json ? { kind: 'in', column, values: [json] } : { kind: 'in-select', column, select: inside };
  }
  const values: ValueRef[] = [];
  for (const item of splitCommas(tokens, inside)) {
    const value = readValue(tokens, item);
    if (!value) return undefined;
    values.push(value);
  }
  return { kind: 'in', column, values };
}

/** `select value from json_each(?)`, to the letter. */
function readJsonList(tokens: readonly Token[], { from, to }: Range): ValueRef | undefined {
  const words = ['select', 'value', 'from', 'json_each'];
  if (to - from !== 7 || !words.every((word, i) => isWord(tokens[from + i], word))) return undefined;
  const param = tokens[from + 5];
  return isOp(tokens[from + 4], '(') && param?.kind === 'param' ? { kind: 'json', index: param.param } : undefined;
}

/** A bound value or a literal that fills the range, also in parentheses. */
export function readValue(tokens: readonly Token[], range: Range): ValueRef | undefined {
  const { from, to } = unwrap(tokens, range);
  const first = tokens[from];
  if (!first) return undefined;
  const negative = isOp(first, '-');
  const token = negative ? tokens[from + 1] : first;
  if (to - from !== (negative ? 2 : 1) || !token) return undefined;
  if (token.kind === 'number') {
    const literal = readNumber(token.value);
    return literal === undefined ? undefined : { kind: 'literal', value: negative ? -literal : literal };
  }
  if (negative) return undefined;
  if (token.kind === 'param') return { kind: 'param', index: token.param };
  if (token.kind === 'string') return { kind: 'literal', value: token.value };
  if (isWord(token, 'null')) return { kind: 'literal', value: null };
  return undefined;
}

const readNumber = (text: string): number | bigint | undefined => {
  if (/^\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
};

const RESERVED = new Set(
  'null true false current_date current_time current_timestamp case not exists cast raise select'.split(' '),
);

/** Where a column reference that begins the range ends; undefined when none begins there. */
export function columnEnd(tokens: readonly Token[], { from, to }: Range): number | undefined {
  let end = from;
  for (;;) {
    const token = tokens[end];
    if (end >= to || !token || (token.kind !== 'word' && token.kind !== 'name')) return undefined;
    if (token.kind === 'word' && RESERVED.has(token.value)) return undefined;
    end++;
    if (end >= to || !isOp(tokens[end], '.')) break;
    end++;
  }
  return isOp(tokens[end], '(') && end < to ? undefined : end;
}
