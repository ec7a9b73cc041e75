import { UnsupportedStatementError } from '../errors';
import type { Layout } from '../layout/layout';
import { findColumn, sameName } from '../layout/table';
import type { OrderTerm, Parsed, Range } from '../sql/ast';
import { unstableIn } from '../sql/functions';
import type { SqlWriter } from '../sql/template';
import { isOp, quoteName } from '../sql/tokens';
import { orderExpression } from './order';
import { type BoundCore, type BoundSource, resolveRange, type TableRef } from './scope';

/** One value that rows are ordered by. */
export interface KeysetTerm {
  /** Source text, or a column of a primary key that we add. */
  readonly expr: Range | string;
  /** An explicit COLLATE that is not part of `expr`. */
  readonly collation: string | undefined;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last';
  /** It is never NULL. */
  readonly notNull: boolean;
  /**
   * - `column`: of a table
   * - `enclosed`: in parentheses. It may be a subquery, of the affinity of a column that its value is not of
   * - `expression`: anything else
   */
  readonly form: 'column' | 'enclosed' | 'expression';
}

/** The terms of ORDER BY. */
export function writtenTerms(
  parsed: Parsed,
  core: BoundCore,
  orderBy: readonly OrderTerm[],
  layout: Layout,
): KeysetTerm[] {
  return orderBy.map((term) => {
    const { tokens } = parsed;
    const expr = orderExpression(tokens, term, core);
    const text = parsed.sql.slice(tokens[term.expr.from]?.start, tokens[term.expr.to - 1]?.end);
    if (!expr) {
      throw new UnsupportedStatementError(`Rows are ordered by ${text}, which cannot stand in a condition.`, {
        sql: parsed.sql,
        remedy: 'Order by columns, or by expressions of columns.',
      });
    }
    const unstable = unstableIn(tokens, expr);
    if (unstable !== undefined) {
      throw new UnsupportedStatementError(`Rows are ordered by ${unstable}, which is another one each time.`, {
        sql: parsed.sql,
        remedy: 'Order by columns.',
      });
    }
    const column = tableColumn(parsed, core, expr);
    // An alias or a position with a COLLATE behind it: that is not in the expression that it stands for.
    const isInside = expr.from === term.expr.from && expr.to === term.expr.to;
    return {
      expr,
      collation: isInside ? undefined : term.collation,
      descending: term.descending,
      nulls: term.nulls ?? (term.descending ? 'last' : 'first'),
      notNull: column !== undefined && isNotNull(column.ref, column.name, layout),
      form: column ? 'column' : isOp(tokens[expr.from], '(') ? 'enclosed' : 'expression',
    };
  });
}

/**
 * What makes the order of rows a single one: the primary key of each table, and the shard key, as only one shard looks after
 * the uniqueness of the others. A UNIQUE column does not do: no shard knows the values of another.
 */
export function tieBreakers(
  parsed: Parsed,
  core: BoundCore,
  written: readonly KeysetTerm[],
  layout: Layout,
): KeysetTerm[] {
  const known = written.flatMap(({ expr, collation }) => {
    const column = typeof expr === 'string' || collation !== undefined ? undefined : tableColumn(parsed, core, expr);
    return column ? [column] : [];
  });
  return core.sources.flatMap((source) => {
    const ref = tableOf(parsed, source);
    const table = layout.actual(ref.table);
    if (table.primaryKey.length === 0) {
      throw new UnsupportedStatementError(
        `${table.name} has no primary key, so that its rows have no order of their own.`,
        {
          tables: [table.name],
          sql: parsed.sql,
          remedy: 'Give it one.',
        },
      );
    }
    const { placement } = table;
    const shardKey = placement.kind === 'sharded' ? [placement.key.name] : [];
    // As for any read without ORDER BY: in the order of the shard key.
    const names = written.length === 0 ? [...shardKey, ...table.primaryKey] : [...table.primaryKey, ...shardKey];
    const distinct = names.filter((name, i) => names.findIndex((other) => sameName(other, name)) === i);
    return distinct
      .filter((name) => !known.some((column) => column.ref === ref && sameName(column.name, name)))
      .map((name): KeysetTerm => {
        const expr = `${quoteName(ref.alias)}.${quoteName(name)}`;
        const notNull = isNotNull(ref, name, layout);
        return { expr, collation: undefined, descending: false, nulls: 'first', notNull, form: 'column' };
      });
  });
}

export function putTerm(writer: SqlWriter, { expr, collation }: KeysetTerm): SqlWriter {
  if (typeof expr === 'string') writer.text(expr);
  else if (collation === undefined) writer.copy(expr);
  else writer.text('(').copy(expr).text(`) collate ${collation}`);
  return writer;
}

/** The column of a table that an expression is, and nothing around it. */
function tableColumn({ tokens }: Parsed, core: BoundCore, expr: Range): { ref: TableRef; name: string } | undefined {
  const bound = resolveRange({ ...core.scope, parent: undefined }, tokens, expr);
  return bound?.ref && bound.column ? { ref: bound.ref, name: bound.column.name } : undefined;
}

function tableOf(parsed: Parsed, { ref, source }: BoundSource): TableRef {
  if (ref) return ref;
  const what = source.name === '' ? 'a subquery' : source.name;
  throw new UnsupportedStatementError(`The rows of ${what} have no primary key by which pages could be told apart.`, {
    sql: parsed.sql,
    remedy: 'Select from the tables themselves, with joins and conditions.',
  });
}

function isNotNull(ref: TableRef, name: string, layout: Layout): boolean {
  if (ref.nullable) return false;
  const table = layout.actual(ref.table);
  return (
    (table.rowidAlias !== undefined && sameName(table.rowidAlias, name)) || findColumn(table, name)?.notNull === true
  );
}
