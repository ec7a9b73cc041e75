import { UnsupportedStatementError } from '../errors';
import type { Layout } from '../layout/layout';
import type { Parsed, Range, Select } from '../sql/ast';
import type { BoundStatement } from '../sql/bound';
import { readValue, type ValueRef } from '../sql/conditions';
import { parse } from '../sql/parse';
import { bindTemplate, pageNumber, SqlWriter } from '../sql/template';
import type { Token } from '../sql/tokens';
import { Binder, NO_CTES } from './bind';
import { fingerprintOf } from './cursor';
import { writeKeyset } from './keyset-sql';
import { type KeysetTerm, tieBreakers, writtenTerms } from './keyset-terms';
import type { BoundCore, BoundSelect } from './scope';

/** How to run a query from any of its rows on. */
export interface Keyset {
  /** How many values a position has. */
  readonly termCount: number;
  /** The LIMIT of the query; undefined where it has none, or a negative one. */
  limit(params: readonly unknown[]): number | undefined;
  /** Tells queries apart whose positions mean different things. */
  fingerprint(params: readonly unknown[]): string;
  /** The first `limit` rows behind a position, each with its own position as one more column at its end. */
  statement(params: readonly unknown[], after: string | undefined, limit: number): BoundStatement;
}

/**
 * Rewrites a SELECT so that it begins behind any of its rows: `where name > ? or name = ? and id > ? order by name, id`.
 *
 * @param asked What is asked, for messages: `$page`.
 * @throws UnsupportedStatementError where rows have no order in which each has one place; TablesNeeded.
 */
export function planKeyset(sql: string, layout: Layout, asked: string): Keyset {
  const parsed = parse(sql);
  const { statement: select, tokens } = parsed;
  if (select.kind !== 'select') {
    throw new UnsupportedStatementError(`${asked} reads rows, and the statement is no SELECT.`, {
      sql,
      remedy: 'Give it a query that begins with db.select().',
    });
  }
  const core = checkForm(parsed, new Binder(parsed, layout).select(select, undefined, NO_CTES), asked);
  const limit = select.limit && readValue(tokens, select.limit);
  if (select.limit && !limit) {
    throw new UnsupportedStatementError(`${asked}: LIMIT is an expression.`, { sql, remedy: 'Write a number.' });
  }
  const written = writtenTerms(parsed, core, select.orderBy, layout);
  const added = tieBreakers(parsed, core, written, layout);
  const terms = [...written, ...added];
  const identity = identityOf(tokens, select, core, terms);
  return {
    termCount: terms.length,
    limit: (params) => limitOf(limit, params),
    fingerprint: (params) => fingerprintOf(identity + JSON.stringify(orderValues(tokens, terms, params))),
    statement: (params, after, count) => {
      const writer = new SqlWriter(sql, tokens);
      writeKeyset(writer, { select, core, terms, added, after, limit: count });
      const template = writer.done();
      return { sql: template.sql, params: bindTemplate(template, params) };
    },
  };
}

/** The one SELECT, each row of which is made of one row of each table. */
function checkForm({ sql, tokens }: Parsed, { select, cores }: BoundSelect, asked: string): BoundCore {
  const refuse = (what: string, remedy: string): never => {
    throw new UnsupportedStatementError(`${asked} goes on behind a row, and the query has ${what}.`, { sql, remedy });
  };
  const [core] = cores;
  if (!core || cores.length > 1) return refuse('UNION, INTERSECT or EXCEPT', 'Ask for each part by itself.');
  if (core.core.from.length === 0) return refuse('no table', 'Run it by itself.');
  if (core.core.distinct) return refuse('DISTINCT', 'Take it out, or run the whole query.');
  if (core.aggregate) return refuse('GROUP BY or aggregates', 'Run the whole query: groups are made of all rows.');
  if (core.windows) return refuse('window functions', 'Run the whole query: they look at rows of other pages too.');
  if (core.core.opaqueFrom) return refuse('joins in parentheses', 'Write the joins one after the other.');
  const offset = select.offset && readValue(tokens, select.offset);
  const isZero = offset?.kind === 'literal' && Number(offset.value) === 0;
  if (select.offset && !isZero) return refuse('an OFFSET', 'Take it out, and begin behind a row.');
  return core;
}

function limitOf(limit: ValueRef | undefined, params: readonly unknown[]): number | undefined {
  const number = limit ? pageNumber('LIMIT', limit, params) : -1;
  return number < 0 ? undefined : number;
}

/** WITH, FROM, WHERE and the order, without values: lists of any length are one. What is selected may change. */
function identityOf(
  tokens: readonly Token[],
  select: Select,
  { core }: BoundCore,
  terms: readonly KeysetTerm[],
): string {
  const textOf = (from: number, to: number) =>
    tokens
      .slice(from, to)
      .map((token) => (token.kind === 'param' ? '?' : token.text))
      .join(' ')
      .replace(/\? , (?=\?)/g, '');
  const order = terms.map(({ expr, collation, descending, nulls }) => [
    typeof expr === 'string' ? expr : textOf(expr.from, expr.to),
    collation,
    descending,
    nulls,
  ]);
  return JSON.stringify([textOf(select.range.from, core.range.from), textOf(core.columnsEnd, core.range.to), order]);
}

/** The values that are bound in the order: with others it is another order. */
function orderValues(tokens: readonly Token[], terms: readonly KeysetTerm[], params: readonly unknown[]): unknown[] {
  const ranges = terms.flatMap(({ expr }): Range[] => (typeof expr === 'string' ? [] : [expr]));
  return ranges.flatMap(({ from, to }) =>
    tokens.slice(from, to).flatMap((token) => (token.kind === 'param' ? [params[token.param]] : [])),
  );
}
