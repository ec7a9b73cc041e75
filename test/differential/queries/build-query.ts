import { sql } from 'drizzle-orm';
import type { Ordering } from '../compare';
import { buildCondition } from './build-condition';
import { buildCte } from './build-from';
import { makeRows, type Rows } from './build-rows';
import type { Builder, Chain } from './builder';
import type { Count, Query } from './recipe';
import { type Context, computed, isColumn, type Source, tableAt, tableSource } from './scope';

/** A query on one database, not yet run. */
export type Built =
  | {
      readonly type: 'rows';
      readonly chain: Chain;
      readonly ordering: Ordering;
      readonly builder: Builder;
      readonly uniqueNames: boolean;
    }
  | { readonly type: 'count'; readonly count: PromiseLike<number>; readonly text: Chain };

export function buildQuery(builder: Builder, query: Query): Built {
  const names = { next: 0 };
  const ctes: Source[] = [];
  for (const [i, recipe] of query.ctes.entries()) {
    const before: Context = { builder, ctes: [...ctes], names };
    ctes.push(buildCte(before, makeRows(before, recipe, { inside: true }), `c${i}`));
  }
  const context: Context = { builder, ctes, names };
  if (query.body.type === 'count') return buildCount({ ...context, ctes: [] }, query.body);
  const front = ctes.length > 0 ? builder.with(...ctes.map(({ relation }) => relation)) : builder;
  const rows = makeRows(context, query.body, { inside: false });
  return {
    type: 'rows',
    builder,
    chain: rows.finish(front),
    ordering: rows.ordering,
    uniqueNames: haveUniqueNames(rows),
  };
}

function haveUniqueNames({ outputs }: Rows): boolean {
  const names = [...outputs].map(([name, { node }]) => (isColumn(node) ? node.name : name));
  return new Set(names).size === names.length;
}

function buildCount(context: Context, recipe: Count): Built {
  const spec = tableAt(recipe.table);
  const source = tableSource(context, spec, false);
  const where = recipe.where && buildCondition(context, source.fields, recipe.where);
  const text = context.builder
    .select({ n: computed(sql`count(*)`, false).node })
    .from(source.relation)
    .where(where);
  return { type: 'count', count: context.builder.$count(spec.table, where), text };
}
