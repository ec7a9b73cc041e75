import { SqlSyntaxError } from '../errors';

/**
 * - `word`: a bare name or keyword; `name`: a quoted name; `string`, `number`, `blob`: literals
 * - `param`: `?`, `?3`, `:a`; `op`: an operator or punctuation
 */
export type TokenKind = 'word' | 'name' | 'string' | 'number' | 'blob' | 'param' | 'op';

export interface Token {
  readonly kind: TokenKind;
  /** The source text between `start` and `end`. */
  readonly text: string;
  /** Words in lower case (ASCII only, as in SQLite), names and strings without their quotes, everything else as written. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
  /** For `param`: zero-based position among the bound values. */
  readonly param: number;
  /** For `(` and `)`: the index of the partner; otherwise -1. */
  match: number;
}

// https://www.sqlite.org/lang_keywords.html and tokenize.c: identifiers may hold $ and any character above 0x7f.
const SPACE = /[ \t\n\r\f]/;
const WORD_START = /[A-Za-z_\u0080-\uffff]/;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]*/y;
const NUMBER = /0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y;
/** Deeper than any statement that D1 runs (its expressions end at 100), and shallow enough to be read recursively. */
const MAX_DEPTH = 300;
const OPERATORS = ['->>', '->', '||', '<<', '>>', '<=', '>=', '<>', '!=', '=='];

/**
 * Splits one SQL text into tokens, leaving out white space and comments.
 *
 * @throws SqlSyntaxError for an unclosed quote or parenthesis, a character that SQL does not know, or too deep a nesting.
 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  const open: number[] = [];
  const named = new Map<string, number>();
  let params = 0;
  let at = 0;

  const fail = (message: string): never => {
    throw new SqlSyntaxError(`${message} at offset ${at} of: ${sql.slice(0, 200)}`, { sql });
  };
  const push = (kind: TokenKind, end: number, value: string, param = -1) => {
    tokens.push({ kind, text: sql.slice(at, end), value, start: at, end, param, match: -1 });
    at = end;
  };
  const pattern = (regex: RegExp, from: number): number => {
    regex.lastIndex = from;
    return regex.test(sql) ? regex.lastIndex : from;
  };
  const quoted = (from: number, quote: string): { end: number; value: string } => {
    let value = '';
    let start = from + 1;
    for (;;) {
      const close = sql.indexOf(quote, start);
      if (close < 0) return fail(`A ${quote} is not closed`);
      value += sql.slice(start, close);
      if (quote === ']' || sql[close + 1] !== quote) return { end: close + 1, value };
      value += quote;
      start = close + 2;
    }
  };

  at = sql.indexOf('\0');
  // SQLite ends there, also in the midst of a comment: what comes after would be read here and not there.
  if (at >= 0) fail('A NUL character');
  at = 0;
  while (at < sql.length) {
    const c = sql[at] as string;
    // SQLite passes over a byte order mark wherever a token could begin.
    if (SPACE.test(c) || c === '\ufeff') at++;
    else if (c === '-' && sql[at + 1] === '-') {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end + 1;
    } else if (c === '/' && sql[at + 1] === '*') {
      const end = sql.indexOf('*/', at + 2);
      at = end < 0 ? sql.length : end + 2;
    } else if (c === "'") {
      const { end, value } = quoted(at, "'");
      push('string', end, value);
    } else if (c === '"' || c === '`') {
      const { end, value } = quoted(at, c);
      push('name', end, value);
    } else if (c === '[') {
      const { end, value } = quoted(at, ']');
      push('name', end, value);
    } else if ((c === 'x' || c === 'X') && sql[at + 1] === "'") {
      const { end, value } = quoted(at + 1, "'");
      push('blob', end, value);
    } else if (WORD_START.test(c)) {
      const end = pattern(WORD, at);
      push('word', end, foldName(sql.slice(at, end)));
    } else if (/\d/.test(c) || (c === '.' && /\d/.test(sql[at + 1] ?? ''))) {
      const end = pattern(NUMBER, at);
      if (WORD_START.test(sql[end] ?? ' ')) fail('A number runs into a name');
      push('number', end, sql.slice(at, end).replaceAll('_', ''));
    } else if (c === '?') {
      let end = at + 1;
      while (/\d/.test(sql[end] ?? '')) end++;
      const index = end > at + 1 ? Number(sql.slice(at + 1, end)) - 1 : params;
      if (index < 0) fail('Parameters are numbered from ?1');
      params = Math.max(params, index + 1);
      push('param', end, sql.slice(at, end), index);
    } else if (c === ':' || c === '@' || c === '$') {
      const end = pattern(WORD, at + 1);
      if (end === at + 1) fail(`An unexpected ${c}`);
      // As in Tcl: `$a(b)` and `:a::b` are one name to SQLite.
      if (sql[end] === '(' || sql.startsWith('::', end)) fail('A parameter runs on');
      const name = sql.slice(at, end);
      const index = named.get(name) ?? params;
      named.set(name, index);
      params = Math.max(params, index + 1);
      push('param', end, name, index);
    } else {
      const op = OPERATORS.find((candidate) => sql.startsWith(candidate, at)) ?? c;
      if (op.length === 1 && !'()+-*/%|&<>=~,;.'.includes(op)) fail(`An unexpected ${op}`);
      if (op === '(' && open.push(tokens.length) > MAX_DEPTH) fail(`More than ${MAX_DEPTH} parentheses in one another`);
      if (op === ')') {
        const partner = open.pop();
        if (partner === undefined) return fail('A ) without its (');
        (tokens[partner] as Token).match = tokens.length;
        push('op', at + 1, op);
        (tokens[tokens.length - 1] as Token).match = partner;
      } else push('op', at + op.length, op);
    }
  }
  if (open.length > 0) fail('A ( is not closed');
  return tokens;
}

/** Is this token the bare keyword `word` (lower case)? A quoted name never is. */
export const isWord = (token: Token | undefined, word: string): boolean =>
  token !== undefined && token.kind === 'word' && token.value === word;

/** Is this token the operator or punctuation `op`? */
export const isOp = (token: Token | undefined, op: string): boolean =>
  token !== undefined && token.kind === 'op' && token.value === op;

/** Can this token be a name? SQLite also takes 'strings' as names where a name must stand. */
export const isName = (token: Token | undefined): boolean =>
  token !== undefined && (token.kind === 'word' || token.kind === 'name' || token.kind === 'string');

/** A name as SQLite compares it: ASCII letters without case. */
export const foldName = (name: string): string => name.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());

/** A name in double quotes, safe to put into SQL text. */
export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
