import type { Range } from '../sql/ast';
import { functionsIn } from '../sql/functions';
import { SqlWriter, type Template } from '../sql/template';
import { foldName, isWord, quoteName, type Token } from '../sql/tokens';

/** A call of an aggregate function; the range includes its FILTER. */
export interface AggregateCall extends Range {
  readonly name: string;
  readonly args: Range;
  readonly distinct: boolean;
  readonly filter: Range | undefined;
}

/** A column that each shard gives for each of its groups. */
export interface PartialColumn {
  readonly name: string;
  readonly expr: Template;
  /** The shards give each value of this once: groups are made by it as well. */
  readonly values: Range | undefined;
}

/** Text in the place of a range of the statement. */
export interface Replacement extends Range {
  readonly text: string;
}

export interface Partials {
  readonly columns: readonly PartialColumn[];
  /** What each call is in the finishing statement. */
  readonly finals: readonly Replacement[];
}

/** What is known to be made of parts. `group_concat` and JSON arrays are not: their order is that of the rows. */
const DIVISIBLE = new Set(['count', 'sum', 'total', 'avg', 'min', 'max']);
/** For these it does not matter whether a value comes once or often. */
const IDEMPOTENT = new Set(['min', 'max']);

/** The aggregates that an expression calls; undefined when one of them is not made of parts. */
export function aggregateCalls(tokens: readonly Token[], range: Range): AggregateCall[] | undefined {
  const calls = functionsIn(tokens, range).aggregates.map((args) => callOf(tokens, args));
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

function callOf(tokens: readonly Token[], args: Range): AggregateCall | undefined {
  const from = args.from - 2;
  const name = foldName(tokens[from]?.value ?? '');
  const distinct = isWord(tokens[args.from], 'distinct');
  const inner = { from: distinct ? args.from + 1 : args.from, to: args.to };
  const isOrdered = tokens.slice(inner.from, inner.to).some((token) => isWord(token, 'order'));
  if (!DIVISIBLE.has(name) || isOrdered || functionsIn(tokens, inner).aggregates.length > 0) return undefined;
  const filter = isWord(tokens[args.to + 1], 'filter')
    ? { from: args.to + 1, to: (tokens[args.to + 2]?.match ?? 0) + 1 }
    : undefined;
  return { from, to: filter?.to ?? args.to + 1, name, args: inner, distinct, filter };
}

/**
 * What the shards have to give for these calls, and what is made of it. Undefined for DISTINCT of two different expressions: the
 * values of both would have to be sent with each other.
 */
export function partialsOf(
  sql: string,
  tokens: readonly Token[],
  calls: readonly AggregateCall[],
  nameOf: (at: number) => string,
): Partials | undefined {
  const write = () => new SqlWriter(sql, tokens);
  const columns: PartialColumn[] = [];
  const add = (expr: Template, values?: Range): string => {
    const name = nameOf(columns.length);
    columns.push({ name, expr, values });
    return quoteName(name);
  };
  const isOfValues = ({ name, distinct }: AggregateCall) => distinct && !IDEMPOTENT.has(name);
  const ofValues = calls.filter(isOfValues);
  const [first] = ofValues;
  if (!ofValues.every(({ args, filter }) => !filter && isSameText(tokens, args, (first as AggregateCall).args))) {
    return undefined;
  }
  // Groups are made by the value as well, and the parts of those add up as the parts of larger ones do.
  const values = first && add(write().copy(first.args, { compact: true }).done(), first.args);
  const finals = calls.map((call): Replacement => {
    const { from, to, name, args, filter } = call;
    if (isOfValues(call)) return { from, to, text: `${name}(distinct ${values})` };
    const part = (fn: string) => {
      const writer = write().text(`${fn}(`).copy(args, { compact: true }).text(')');
      return add((filter ? writer.text(' ').copy(filter, { compact: true }) : writer).done());
    };
    // Integers stay integers until the end: a sum of the sums, and not of numbers that were rounded.
    if (name === 'avg') return { from, to, text: `(total(${part('sum')}) / sum(${part('count')}))` };
    // No shard has a group where groups are made by values, and there are none.
    if (name === 'count') return { from, to, text: `coalesce(sum(${part('count')}), 0)` };
    return { from, to, text: `${name}(${part(name === 'total' ? 'sum' : name)})` };
  });
  return { columns, finals };
}

/** The same tokens; two parameters are not, as what is bound to them may differ. */
export function isSameText(tokens: readonly Token[], a: Range, b: Range): boolean {
  if (a.to - a.from !== b.to - b.from) return false;
  return tokens
    .slice(a.from, a.to)
    .every((token, i) => a.from === b.from || (token.kind !== 'param' && token.text === tokens[b.from + i]?.text));
}
