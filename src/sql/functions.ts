import type { Range } from './ast';
import { beginsSelect } from './parse-select';
import { splitCommas } from './reader';
import { foldName, isOp, isWord, type Token } from './tokens';

// https://www.sqlite.org/lang_aggfunc.html
const AGGREGATES = new Set(
  'count sum total avg group_concat string_agg json_group_array json_group_object jsonb_group_array jsonb_group_object median percentile'.split(
    ' ',
  ),
);
/** Different each time, or different on each shard. */
const UNSTABLE = new Set(
  'random randomblob last_insert_rowid changes total_changes current_timestamp current_date current_time'.split(' '),
);
const CLOCKS = new Set('date time datetime julianday unixepoch strftime timediff'.split(' '));

export interface FunctionUse {
  /** The arguments of each aggregate that is called. */
  readonly aggregates: readonly Range[];
  readonly window: boolean;
}

/** Which kinds of functions a range calls, not looking into subqueries. */
export function functionsIn(tokens: readonly Token[], range: Range): FunctionUse {
  const aggregates: Range[] = [];
  let window = false;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    const next = tokens[i + 1];
    if (isOp(token, '(') && beginsSelect(next)) i = token.match;
    else if ((token.kind === 'word' || token.kind === 'name') && isOp(next, '(') && !isOp(tokens[i - 1], '.')) {
      const close = (next as Token).match;
      const args = { from: i + 2, to: close };
      const filtered = isWord(tokens[close + 1], 'filter') && isOp(tokens[close + 2], '(');
      const after = filtered ? (tokens[close + 2] as Token).match : close;
      if (isWord(tokens[after + 1], 'over')) window = true;
      else if (isAggregate(tokens, foldName(token.value), args)) aggregates.push(args);
    }
  }
  return { aggregates, window };
}

function isAggregate(tokens: readonly Token[], name: string, args: Range): boolean {
  if (name === 'min' || name === 'max') return splitCommas(tokens, args).length === 1;
  return AGGREGATES.has(name);
}

/** The terms of PARTITION BY of each window in a range; undefined for one without. Not looking into subqueries. */
export function partitionsIn(tokens: readonly Token[], range: Range): (Range[] | undefined)[] {
  const found: (Range[] | undefined)[] = [];
  for (let i = range.from; i < range.to; i++) {
    if (isOp(tokens[i], '(') && beginsSelect(tokens[i + 1])) i = (tokens[i] as Token).match;
    else if (isWord(tokens[i], 'over')) found.push(partitionOf(tokens, i + 1));
  }
  return found;
}

const AFTER_PARTITION = ['order', 'rows', 'range', 'groups'];

function partitionOf(tokens: readonly Token[], open: number): Range[] | undefined {
  if (!isOp(tokens[open], '(') || !isWord(tokens[open + 1], 'partition') || !isWord(tokens[open + 2], 'by'))
    return undefined;
  const from = open + 3;
  let to = from;
  for (const close = (tokens[open] as Token).match; to < close; to++) {
    if (AFTER_PARTITION.some((word) => isWord(tokens[to], word))) break;
    if (isOp(tokens[to], '(')) to = (tokens[to] as Token).match;
  }
  return splitCommas(tokens, { from, to });
}

/** The first function in the range whose value differs from shard to shard or from call to call. */
export function unstableIn(tokens: readonly Token[], range: Range): string | undefined {
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    const isCall = isOp(tokens[i + 1], '(');
    if ((token.kind !== 'word' && !(token.kind === 'name' && isCall)) || isOp(tokens[i - 1], '.')) continue;
    const name = foldName(token.value);
    if (UNSTABLE.has(name)) return name;
    if (CLOCKS.has(name) && isCall && readsClock(tokens, i + 1)) return name;
  }
  return undefined;
}

/** SQLite's date functions read the clock when their time value is missing or 'now'. */
function readsClock(tokens: readonly Token[], open: number): boolean {
  const args = tokens.slice(open + 1, tokens[open]?.match);
  const least = isWord(tokens[open - 1], 'strftime') ? 2 : 1;
  return args.length < least || args.some((token) => token.kind === 'string' && foldName(token.value) === 'now');
}

/** Where the selects written inside a range begin and end, without their parentheses; not those inside those. */
export function selectsIn(tokens: readonly Token[], range: Range): Range[] {
  const found: Range[] = [];
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    if (isOp(token, '(') && beginsSelect(tokens[i + 1])) {
      found.push({ from: i + 1, to: token.match });
      i = token.match;
    }
  }
  return found;
}

/** Tables named as `x in tablename`. `hints` are the tokens of `main.`. */
export function inTables(tokens: readonly Token[], range: Range): { name: string; nameAt: number; hints: Range[] }[] {
  const found: { name: string; nameAt: number; hints: Range[] }[] = [];
  for (let i = range.from; i < range.to - 1; i++) {
    const next = tokens[i + 1] as Token;
    if (isOp(tokens[i], '(') && beginsSelect(next)) i = (tokens[i] as Token).match;
    else if (isWord(tokens[i], 'in') && (next.kind === 'word' || next.kind === 'name')) {
      const isDotted = isOp(tokens[i + 2], '.');
      const nameAt = isDotted ? i + 3 : i + 1;
      found.push({
        name: tokens[nameAt]?.value ?? '',
        nameAt,
        hints: isDotted ? [{ from: i + 1, to: i + 3 }] : [],
      });
    }
  }
  return found;
}

const NOT_COLUMNS = new Set(
  'and or not is in like glob between case when then else end null true false escape collate isnull notnull exists distinct from'.split(
    ' ',
  ),
);

/** A column named in an expression: its path, and the tokens of its qualifier. */
export interface NamedColumn {
  readonly path: readonly string[];
  readonly qualifier: Range;
}

/** The columns that an expression names, not looking into subqueries. A word that may be one counts. */
export function columnsIn(tokens: readonly Token[], range: Range): NamedColumn[] {
  const found: NamedColumn[] = [];
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    const next = tokens[i + 1];
    if (isOp(token, '(') && beginsSelect(next)) i = token.match;
    // A 'string' before a dot is a name: `'u'.id`.
    if (token.kind !== 'word' && token.kind !== 'name' && !(token.kind === 'string' && isOp(next, '.'))) continue;
    if (isWord(token, 'as')) {
      // Of CAST, whose type goes to the end.
      while (i + 1 < range.to && !isOp(tokens[i + 1], ')'))
        i = isOp(tokens[i + 1], '(') ? (tokens[i + 1] as Token).match : i + 1;
      continue;
    }
    if (token.kind === 'word' && NOT_COLUMNS.has(token.value)) continue;
    if (isOp(next, '(') || isWord(tokens[i - 1], 'collate')) continue;
    const path = [token.value];
    const from = i;
    for (; isOp(tokens[i + 1], '.'); i += 2) path.push((tokens[i + 2] as Token).value);
    found.push({ path, qualifier: { from, to: i } });
  }
  return found;
}
