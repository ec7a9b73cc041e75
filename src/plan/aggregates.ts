import type { Range } from '../sql/ast';
import { columnsIn, functionsIn } from '../sql/functions';
import { splitCommas } from '../sql/reader';
import { foldName, isOp, isWord, type Token } from '../sql/tokens';

/** A call of an aggregate function; the range includes its FILTER. */
export interface AggregateCall extends Range {
  readonly name: string;
  /** Without DISTINCT and without the separator. */
  readonly args: Range;
  /** What stands between the texts: the same for all rows. */
  readonly separator: Range | undefined;
  readonly distinct: boolean;
  readonly filter: Range | undefined;
}

/** What is known to be made of parts, with how many arguments at most. */
const DIVISIBLE = new Map(
  Object.entries({ count: 1, sum: 1, total: 1, avg: 1, min: 1, max: 1, group_concat: 2, string_agg: 2 }),
).set('json_group_array', 1);
const PAIRS = 'json_group_object';
/** For these it does not matter whether a value comes once or often. */
const IDEMPOTENT = new Set(['min', 'max']);
/** Made of text, in the order of the rows. */
const TEXTS = new Set(['group_concat', 'string_agg', 'json_group_array', PAIRS]);

/** The least and the greatest, of which the value that stands for equal ones is one of them. */
export const isExtreme = ({ name }: AggregateCall): boolean => IDEMPOTENT.has(name);
export const isText = ({ name }: AggregateCall): boolean => TEXTS.has(name);
/** It is computed of the different values, each once. */
export const isOfValues = (call: AggregateCall): boolean => call.distinct && !isExtreme(call);

/** The aggregates that an expression calls; undefined when one of them is not made of parts. */
export function aggregateCalls(tokens: readonly Token[], range: Range): AggregateCall[] | undefined {
  const calls = functionsIn(tokens, range).aggregates.map((args) => callOf(tokens, args));
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

function callOf(tokens: readonly Token[], whole: Range): AggregateCall | undefined {
  const from = whole.from - 2;
  const name = foldName(tokens[from]?.value ?? '');
  const distinct = isWord(tokens[whole.from], 'distinct');
  const inner = { from: distinct ? whole.from + 1 : whole.from, to: whole.to };
  const isOrdered = tokens.slice(inner.from, inner.to).some((token) => isWord(token, 'order'));
  if (isOrdered || functionsIn(tokens, inner).aggregates.length > 0) return undefined;
  const list = splitCommas(tokens, inner);
  const [first, separator] = name === PAIRS ? [inner] : list;
  const most = name === PAIRS ? 2 : DIVISIBLE.get(name);
  if (most === undefined || list.length > most) return undefined;
  // SQLite refuses these: with the row gather, by its own words.
  if ((name === 'string_agg' && !separator) || (name === PAIRS && list.length < 2)) return undefined;
  if ((list.length === 0 && name !== 'count') || (distinct && list.length !== 1)) return undefined;
  if (separator && columnsIn(tokens, separator).length > 0) return undefined;
  const filter = isWord(tokens[whole.to + 1], 'filter')
    ? { from: whole.to + 1, to: (tokens[whole.to + 2]?.match ?? 0) + 1 }
    : undefined;
  return { from, to: filter?.to ?? whole.to + 1, name, args: first ?? inner, separator, distinct, filter };
}

const isJsonCall = (tokens: readonly Token[], at: number): boolean =>
  isOp(tokens[at + 1], '(') && foldName(tokens[at]?.value ?? '').startsWith('json');

/** May SQLite know the value as JSON, and not as text that looks like it? It forgets that where values travel. */
export function makesJson(tokens: readonly Token[], { from, to }: Range): boolean {
  for (let i = from; i < to; i++) if (isJsonCall(tokens, i) || isOp(tokens[i], '->')) return true;
  return false;
}

/** Is this inside the arguments of a JSON function? There JSON is put in as it is, and text as a string. */
export function isInJson(tokens: readonly Token[], { from, to }: Range): boolean {
  for (let i = 0; i < from; i++) if (isJsonCall(tokens, i) && (tokens[i + 1] as Token).match >= to) return true;
  return false;
}

/** The COLLATE at the end of an expression. */
export const explicitCollation = (tokens: readonly Token[], { from, to }: Range): string =>
  to - from > 2 && isWord(tokens[to - 2], 'collate') ? ` collate ${(tokens[to - 1] as Token).text}` : '';
