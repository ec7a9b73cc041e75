import { splitCommas } from '../../sql/reader';
import { foldName, isOp, isWord, type Token, tokenize } from '../../sql/tokens';
import { normalTokens } from './normal-sql';

/** What no pragma tells of a table. */
export interface TableText {
  /** By the folded names of generated columns. */
  readonly generated: ReadonlyMap<string, string>;
  readonly checks: readonly string[];
  readonly autoincrement: boolean;
}

const CONSTRAINTS = ['constraint', 'check', 'unique', 'primary', 'foreign'];

/** Reads a CREATE TABLE as `sqlite_master` has it. */
export function readCreateTable(sql: string, table: string): TableText {
  const tokens = tokenize(sql);
  const open = tokens.findIndex((token) => isOp(token, '('));
  const generated = new Map<string, string>();
  const checks: string[] = [];
  for (const { from, to } of open < 0
    ? []
    : splitCommas(tokens, { from: open + 1, to: (tokens[open] as Token).match })) {
    const first = tokens[from] as Token;
    const isColumn = !CONSTRAINTS.some((word) => isWord(first, word));
    for (let i = from; i < to; i++) {
      const next = tokens[i + 1];
      if (isOp(tokens[i], '(')) i = (tokens[i] as Token).match;
      else if (next && isOp(next, '(')) {
        const inside = () => normalTokens(tokens.slice(i + 2, next.match), table);
        if (isWord(tokens[i], 'check')) checks.push(inside());
        if (isColumn && isWord(tokens[i], 'as')) generated.set(foldName(first.value), inside());
      }
    }
  }
  return { generated, checks: checks.sort(), autoincrement: tokens.some((token) => isWord(token, 'autoincrement')) };
}

/** What no pragma tells of an index: its expressions, by their places, and the condition of a partial one. */
export interface IndexText {
  readonly terms: readonly string[];
  readonly where: string | undefined;
}

/** Reads a CREATE INDEX as `sqlite_master` has it. */
export function readCreateIndex(sql: string, table: string): IndexText {
  const tokens = tokenize(sql);
  const open = tokens.findIndex((token) => isOp(token, '('));
  const close = tokens[open]?.match ?? -1;
  if (close < 0) return { terms: [], where: undefined };
  const terms = splitCommas(tokens, { from: open + 1, to: close }).map(({ from, to }) => {
    const end = ['asc', 'desc'].some((word) => isWord(tokens[to - 1], word)) ? to - 1 : to;
    const collate = isWord(tokens[end - 2], 'collate') ? end - 2 : end;
    return normalTokens(tokens.slice(from, collate), table);
  });
  const where = isWord(tokens[close + 1], 'where') ? normalTokens(tokens.slice(close + 2), table) : undefined;
  return { terms, where };
}
