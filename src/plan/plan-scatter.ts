import type { Parsed, Range } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { foldName, isOp, isWord, quoteName, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { anchorOf, groupsByKey, isLocalTo, outputsKey, windowsByKey } from './locality';
import { orderTerms, type Term, writeOrderColumns } from './order';
import type { Reach, ScatterStep } from './plan';
import { type Output, positionalSelect } from './positional';
import { wholeStatement } from './reach';
import type { BoundCore, BoundSelect } from './scope';

/** D1 returns at most so many columns. */
const MAX_COLUMNS = 100;

/**
 * Pushes a select down to the shards, if each of its rows comes from rows of one key. Undefined when it does not: then it is
 * gathered.
 */
export function planScatter(
  parsed: Parsed,
  bound: BoundSelect,
  binder: Binder,
  output: Output,
): ScatterStep | undefined {
  const { select } = bound;
  const [core] = bound.cores;
  if (!core || bound.cores.length > 1) return undefined;
  const anchor = anchorOf(core, parsed.tokens);
  if (!anchor || !isLocalTo(anchor, binder) || !windowsByKey(core, select, anchor, parsed.tokens)) return undefined;
  const reach: Reach = { kind: 'keys', keyspace: anchor.keyspace, keys: anchor.keySet() };
  if (core.aggregate && !groupsByKey(core, anchor, parsed.tokens)) {
    const template = countsRows(bound, core, parsed.tokens) ? wholeStatement(parsed) : undefined;
    if (!template) return undefined;
    const positional = output.positional ?? template;
    return { template, positional, reach, merge: 'sum', order: [], limit: undefined, offset: undefined };
  }
  if (core.core.distinct && (hasStar(core) || !outputsKey(bound.columns, anchor))) return undefined;
  const limit = select.limit && readValue(parsed.tokens, select.limit);
  const offset = select.offset && readValue(parsed.tokens, select.offset);
  if ((select.limit && !limit) || (select.offset && !offset)) return undefined;
  const terms = scatterOrder(parsed, bound, core, anchor);
  if (!terms) return undefined;
  const hidden = terms.reduce((count, term) => count + (term.large ? 2 : 1), 0);
  if ((bound.columns?.length ?? 0) + hidden > MAX_COLUMNS) return undefined;
  // The hidden columns repeat the parameters of their expressions.
  const template = [false, true]
    .map((compact) => writeScatter(parsed, bound, core, terms, { limit, offset, compact }))
    .find(({ slots }) => slots.length <= MAX_PARAMS);
  if (!template) return undefined;
  const count = output.names && output.names.length + hidden;
  return {
    template,
    positional: output.positional ? { ...template, sql: positionalSelect(template.sql, count) } : template,
    reach,
    merge: 'rows',
    order: terms.map(({ expr: _, ...key }) => key),
    limit,
    offset,
  };
}

/** `select count(...)` and nothing else: what the shards count adds up. */
function countsRows({ select }: BoundSelect, { core }: BoundCore, tokens: readonly Token[]): boolean {
  if (core.groupBy.length > 0 || core.having || core.distinct || select.orderBy.length > 0 || select.limitClause)
    return false;
  return core.columns.every(({ expr: { from, to } }) => {
    const isCount = foldName(tokens[from]?.value ?? '') === 'count' && tokens[from]?.kind !== 'string';
    return (
      isCount &&
      isOp(tokens[from + 1], '(') &&
      tokens[from + 1]?.match === to - 1 &&
      !isWord(tokens[from + 2], 'distinct')
    );
  });
}

const hasStar = (core: BoundCore): boolean => core.core.columns.some((column) => column.star !== undefined);

/** What the merged rows are ordered by: ORDER BY, or the key so that pages are stable. */
function scatterOrder(parsed: Parsed, bound: BoundSelect, core: BoundCore, anchor: KeyClass): Term[] | undefined {
  const { orderBy } = bound.select;
  if (orderBy.length === 0) return [keyTerm(core, anchor)].flatMap((term) => term ?? []);
  const terms = orderTerms(parsed, orderBy, core);
  const isOutput = ({ expr }: Term) =>
    typeof expr !== 'string' && core.core.columns.some((column) => sameText(parsed.tokens, column.expr, expr));
  return core.core.distinct && !terms?.every(isOutput) ? undefined : terms;
}

function keyTerm(core: BoundCore, anchor: KeyClass): Term | undefined {
  for (const one of core.sources) {
    const column = one.columns?.find((candidate) => !candidate.nullable && candidate.key?.outermost() === anchor);
    if (!column) continue;
    const expr = `${one.source.alias ? `${quoteName(one.source.alias)}.` : ''}${quoteName(column.name)}`;
    const large = column.column?.affinity === 'integer';
    return { expr, text: expr, descending: false, nulls: 'first', collation: 'BINARY', large };
  }
  return undefined;
}

const sameText = (tokens: readonly Token[], a: Range, b: Range): boolean =>
  a.to - a.from === b.to - b.from &&
  tokens.slice(a.from, a.to).every((token, i) => token.text === tokens[b.from + i]?.text);

function writeScatter(
  parsed: Parsed,
  bound: BoundSelect,
  core: BoundCore,
  terms: readonly Term[],
  { limit, offset, compact }: { limit: ValueRef | undefined; offset: ValueRef | undefined; compact: boolean },
): Template {
  const { select } = bound;
  const writer = new SqlWriter(parsed.sql, parsed.tokens);
  writer.copy({ from: 0, to: core.core.columnsEnd }, { compact });
  writeOrderColumns(writer, terms, (expr) =>
    typeof expr === 'string' ? writer.text(expr) : writer.copy(expr, { compact }),
  );
  const end = select.limitClause?.from ?? select.range.to;
  writer.text(' ').copy({ from: core.core.columnsEnd, to: end }, { compact });
  const [only] = terms;
  if (select.orderBy.length === 0 && only) writer.text(' order by ').text(String(only.expr));
  if (limit) writer.text(' limit ').slot({ kind: 'page', limit, offset });
  return writer.done();
}
