import type { OrderTerm, Parsed, Range, ResultColumn } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { SqlWriter } from '../sql/template';
import { foldName, quoteName, type Token } from '../sql/tokens';
import { type Binder, groupsByKey } from './bind';
import type { KeyClass } from './key-class';
import { anchorOf, isLocalTo } from './locality';
import type { OrderKey, ScatterStep } from './plan';
import { type BoundCore, type BoundSelect, resolveRange } from './scope';

/** Names of hidden columns: no user's column is called so. */
const HIDDEN = '__shard_order_';

interface Term extends OrderKey {
  /** The expression: source text, or a column that we add. */
  readonly expr: Range | string;
}

/**
 * Pushes a select down to the shards, if each of its rows comes from rows of one key. Undefined when it does not: then it is
 * gathered.
 */
export function planScatter(parsed: Parsed, bound: BoundSelect, binder: Binder): ScatterStep | undefined {
  const { select } = bound;
  const [core] = bound.cores;
  if (!core || bound.cores.length > 1 || core.windows || binder.recursive) return undefined;
  const anchor = anchorOf(core);
  if (!anchor || !isLocalTo(anchor, binder)) return undefined;
  if (core.aggregate && !groupsByKey(core, anchor, binder)) return undefined;
  if (core.core.distinct && !outputsKey(core, bound, anchor)) return undefined;
  const limit = select.limit && readValue(parsed.tokens, select.limit);
  const offset = select.offset && readValue(parsed.tokens, select.offset);
  if ((select.limit && !limit) || (select.offset && !offset)) return undefined;
  const terms = orderTerms(parsed, bound, core, anchor, binder);
  if (!terms) return undefined;
  return {
    template: writeScatter(parsed, bound, core, terms, limit, offset),
    reach: { kind: 'keys', keyspace: anchor.find().keyspace, keys: anchor.keySet() },
    order: terms.map(({ expr: _, ...key }) => key),
    limit,
    offset,
  };
}

/** DISTINCT rows of two shards differ if the key is among their columns. */
const outputsKey = (core: BoundCore, bound: BoundSelect, anchor: KeyClass): boolean =>
  core.core.columns.every((column) => column.star === undefined) &&
  (bound.columns?.some((column) => column.key?.find().outermost() === anchor.find()) ?? false);

/** What the merged rows are ordered by: ORDER BY, or the key so that pages are stable. */
function orderTerms(
  parsed: Parsed,
  bound: BoundSelect,
  core: BoundCore,
  anchor: KeyClass,
  binder: Binder,
): Term[] | undefined {
  const { select } = bound;
  if (select.orderBy.length === 0) return [keyTerm(core, anchor)].flatMap((term) => term ?? []);
  const terms: Term[] = [];
  for (const term of select.orderBy) {
    const expr = orderExpression(parsed, term, core);
    if (!expr) return undefined;
    if (core.core.distinct && !core.core.columns.some((column) => sameText(parsed.tokens, column.expr, expr)))
      return undefined;
    const collation = collationOf(parsed.tokens, expr, term, core, binder);
    const nulls = term.nulls ?? (term.descending ? 'last' : 'first');
    const affinity = resolveRange(core.scope, binder.tokens, expr)?.column?.affinity;
    const large = affinity !== 'text' && affinity !== 'real';
    terms.push({ expr, text: sourceText(parsed, term.expr), descending: term.descending, nulls, collation, large });
  }
  return terms;
}

function keyTerm(core: BoundCore, anchor: KeyClass): Term | undefined {
  for (const one of core.sources) {
    const column = one.columns?.find((candidate) => candidate.key?.find().outermost() === anchor.find());
    if (!column || one.source.join === 'left') continue;
    const expr = `${one.source.alias ? `${quoteName(one.source.alias)}.` : ''}${quoteName(column.name)}`;
    const large = column.column?.affinity === 'integer';
    return { expr, text: expr, descending: false, nulls: 'first', collation: 'BINARY', large };
  }
  return undefined;
}

/** What an ORDER BY term stands for: `2` and an alias are result columns. Undefined when a star hides which. */
function orderExpression(parsed: Parsed, term: OrderTerm, core: BoundCore): Range | undefined {
  const { tokens } = parsed;
  const { from, to } = term.expr;
  const end = term.collation === undefined ? to : to - 2;
  const token = tokens[from] as Token;
  const { columns } = core.core;
  if (end - from === 1) {
    const position = token.kind === 'number' ? Number(token.value) : undefined;
    const named: ResultColumn | undefined =
      position !== undefined
        ? columns.slice(0, position).every((column) => column.star === undefined)
          ? columns[position - 1]
          : undefined
        : columns.find((column) => column.alias !== undefined && foldName(column.alias) === foldName(token.value));
    if (position !== undefined && !named) return undefined;
    if (named) return named.expr;
    return term.expr;
  }
  // An alias inside an expression would have to be replaced there; the statement is gathered instead.
  const aliases = columns.flatMap((column) => (column.alias === undefined ? [] : [foldName(column.alias)]));
  for (let i = from; i < to; i++) {
    const one = tokens[i] as Token;
    const isQualified = tokens[i - 1]?.text === '.' || tokens[i + 1]?.text === '.';
    if ((one.kind === 'word' || one.kind === 'name') && !isQualified && aliases.includes(foldName(one.value)))
      return undefined;
  }
  return term.expr;
}

function collationOf(tokens: readonly Token[], expr: Range, term: OrderTerm, core: BoundCore, binder: Binder): string {
  if (term.collation) return term.collation.toUpperCase();
  const before = tokens[expr.to - 2];
  if (before?.kind === 'word' && before.value === 'collate') return (tokens[expr.to - 1] as Token).value.toUpperCase();
  return resolveRange(core.scope, binder.tokens, expr)?.column?.collation ?? 'BINARY';
}

const sourceText = (parsed: Parsed, range: Range): string =>
  parsed.sql.slice(parsed.tokens[range.from]?.start, parsed.tokens[range.to - 1]?.end);

const sameText = (tokens: readonly Token[], a: Range, b: Range): boolean =>
  a.to - a.from === b.to - b.from &&
  tokens.slice(a.from, a.to).every((token, i) => token.text === tokens[b.from + i]?.text);

function writeScatter(
  parsed: Parsed,
  bound: BoundSelect,
  core: BoundCore,
  terms: readonly Term[],
  limit: ValueRef | undefined,
  offset: ValueRef | undefined,
) {
  const { select } = bound;
  const compact = parsed.paramCount > 100;
  const writer = new SqlWriter(parsed.sql, parsed.tokens);
  writer.copy({ from: 0, to: core.core.columnsEnd }, { compact });
  for (const [i, term] of terms.entries()) {
    const put = () => (typeof term.expr === 'string' ? writer.text(term.expr) : writer.copy(term.expr, { compact }));
    writer.text(', ');
    put().text(` as "${HIDDEN}${i}"`);
    if (!term.large) continue;
    writer.text(', case when typeof(');
    put().text(") = 'integer' and ((");
    put().text(') > 9007199254740991 or (');
    put().text(') < -9007199254740991) then cast(');
    put().text(` as text) end as "${HIDDEN}${i}_large"`);
  }
  const end = select.limitClause?.from ?? select.range.to;
  writer.text(' ').copy({ from: core.core.columnsEnd, to: end }, { compact });
  const [only] = terms;
  if (select.orderBy.length === 0 && only) writer.text(' order by ').text(String(only.expr));
  if (limit) writer.text(' limit ').slot({ kind: 'page', limit, offset });
  return writer.done();
}
