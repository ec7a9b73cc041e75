import type { OrderTerm, Parsed, Range } from '../sql/ast';
import { unwrap } from '../sql/conditions';
import { columnsIn } from '../sql/functions';
import type { SqlWriter } from '../sql/template';
import { foldName, type Token } from '../sql/tokens';
import { collationOf } from './outputs';
import type { OrderKey } from './plan';
import { type BoundCore, resolveRange } from './scope';

/** Names of hidden columns: no user's column is called so. */
const HIDDEN = '__shard_order_';

/** One term of an order that is merged. */
export interface Term extends OrderKey {
  /** The expression: source text, or a column that we add. */
  readonly expr: Range | string;
}

/** ORDER BY as the rows of several shards are merged by it; undefined when a term is not plain to see. */
export function orderTerms(parsed: Parsed, orderBy: readonly OrderTerm[], core: BoundCore): Term[] | undefined {
  const { tokens } = parsed;
  const terms: Term[] = [];
  for (const term of orderBy) {
    const expr = orderExpression(tokens, term, core);
    const collation = expr && (term.collation?.toUpperCase() ?? collationOf(core.scope, tokens, expr));
    if (!expr || !collation) return undefined;
    const nulls = term.nulls ?? (term.descending ? 'last' : 'first');
    const large = resolveRange(core.scope, tokens, expr)?.column?.affinity !== 'text';
    terms.push({ expr, text: sourceText(parsed, term.expr), descending: term.descending, nulls, collation, large });
  }
  return terms;
}

/**
 * What an ORDER BY term stands for: `2` and an alias are result columns. Undefined when that is not plain to see; then the
 * statement is gathered.
 */
export function orderExpression(tokens: readonly Token[], term: OrderTerm, core: BoundCore): Range | undefined {
  const { columns } = core.core;
  const whole = { from: term.expr.from, to: term.collation === undefined ? term.expr.to : term.expr.to - 2 };
  const { from, to } = unwrap(tokens, whole);
  const token = tokens[from] as Token;
  if (to - from === 1 && token.kind === 'number') {
    const position = Number(token.value);
    return columns.slice(0, position).some((column) => column.star !== undefined)
      ? undefined
      : columns[position - 1]?.expr;
  }
  const named = columnsIn(tokens, { from, to });
  // A constant, or for SQLite perhaps a position: `+2`.
  if (named.length === 0) return undefined;
  const aliased = (name: string) =>
    columns.find(({ alias }) => alias !== undefined && foldName(alias) === foldName(name));
  if (to - from === 1) return aliased(token.value)?.expr ?? { from, to };
  // An alias inside an expression would have to be replaced there.
  return named.some(({ path }) => path.length === 1 && aliased(path[0] as string)) ? undefined : term.expr;
}

const sourceText = (parsed: Parsed, range: Range): string =>
  parsed.sql.slice(parsed.tokens[range.from]?.start, parsed.tokens[range.to - 1]?.end);

/**
 * Adds the hidden columns of an order: the value of each term, and where it may be large its text.
 *
 * @param put Writes an expression.
 */
export function writeOrderColumns(
  writer: SqlWriter,
  terms: readonly Term[],
  put: (expr: Range | string) => SqlWriter,
): void {
  for (const [i, { expr, large }] of terms.entries()) {
    writer.text(', ');
    put(expr).text(` as "${HIDDEN}${i}"`);
    if (!large) continue;
    // JavaScript numbers are exact to 2^53, and D1 makes infinities null; SQLite orders them all.
    writer.text(', case when (');
    put(expr).text(') not between -9007199254740991 and 9007199254740991 and (typeof(');
    // The plus takes away the affinity of a CAST: the text 'Inf' is no infinity.
    put(expr).text(") = 'integer' or +(");
    put(expr).text(') in (9e999, -9e999)) then cast(');
    put(expr).text(` as text) end as "${HIDDEN}${i}_large"`);
  }
}
