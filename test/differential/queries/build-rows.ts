import { type SQLWrapper, sql } from 'drizzle-orm';
import type { Ordering } from '../compare';
import { makeGrouped } from './build-grouped';
import { makeSelect } from './build-select';
import { makeSet } from './build-set';
import type { Builder, Chain } from './builder';
import type { Paging, RowsRecipe } from './recipe';
import { type Context, computed, type Field, freshName, isColumn } from './scope';

/** Where the rows of a query go. */
export interface Use {
  /** To a query around it, for which they may not depend on anything that SQL leaves open. */
  readonly inside: boolean;
  /** To a set operation: without an order of their own, as wide as its other parts and with the same names. */
  readonly member?: { readonly width: number; readonly prefix: string };
}

/** A query that lacks only the `db` or the WITH in front of it. */
export interface Rows {
  /** What it puts out, by the names that they have outside. */
  readonly outputs: ReadonlyMap<string, Field>;
  readonly ordering: Ordering;
  finish(builder: Builder): Chain;
}

export function makeRows(context: Context, recipe: RowsRecipe, use: Use): Rows {
  switch (recipe.type) {
    case 'select':
      return makeSelect(context, recipe, use);
    case 'grouped':
      return makeGrouped(context, recipe, use);
    case 'set':
      return makeSet(context, recipe, use);
  }
}

/** Whether the caller gets these rows as they are: then columns may be bare, and Drizzle decodes them. */
export const isTop = ({ inside, member }: Use): boolean => !inside && !member;

/** Names for outputs: unique in the whole query when a query around it uses them. */
export function nameOutputs(context: Context, use: Use, fields: readonly Field[]): Map<string, Field> {
  const prefix = use.member?.prefix ?? outputPrefix(context, use);
  return new Map(fields.map((field, i) => [`${prefix}${i}`, field]));
}

export const outputPrefix = (context: Context, { inside }: Use): string =>
  inside ? `${freshName(context, 'q')}_` : 'f';

/** What Drizzle's `select()` takes. */
export function selected(outputs: ReadonlyMap<string, Field>, use: Use): Record<string, SQLWrapper> {
  return Object.fromEntries(
    [...outputs].map(([as, { node }]) => [as, isTop(use) && isColumn(node) ? node : sql`${node}`.as(as)]),
  );
}

/** The same for each of the values that SQL may choose from. */
export function settle(field: Field): Field {
  return field.nocase ? computed(sql`lower(${field.node})`, false) : field;
}

export function pagingFor(paging: Paging, { inside }: Use): Paging {
  return inside && paging.limit !== undefined ? { ...paging, total: true } : paging;
}

/** @param keys Positions of outputs by which the rows are ordered. */
export function orderingOf(paging: Paging, keys: readonly number[], fold: boolean): Ordering {
  return { rows: paging.total ? 'exact' : paging.limit !== undefined ? 'count' : 'any', keys, fold };
}

export const anyNocase = (fields: Iterable<Field>): boolean => [...fields].some(({ nocase }) => nocase);

export function page(chain: Chain, terms: readonly SQLWrapper[], paging: Paging): Chain {
  const ordered = terms.length > 0 ? chain.orderBy(...terms) : chain;
  if (paging.limit === undefined) return ordered;
  const limited = ordered.limit(paging.limit);
  return paging.offset === undefined ? limited : limited.offset(paging.offset);
}
