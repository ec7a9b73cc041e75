import { desc, sql } from 'drizzle-orm';
import { buildExpression, fill } from './build-condition';
import { type BuiltFrom, buildFrom } from './build-from';
import {
  anyNocase,
  isTop,
  nameOutputs,
  orderingOf,
  page,
  pagingFor,
  type Rows,
  selected,
  settle,
  type Use,
} from './build-rows';
import { byAllOutputs, orderOutputs, orderTerm } from './order-terms';
import type { Order, Paging, Select, SelectField, Window } from './recipe';
import { type Context, choose, computed, type Field } from './scope';

const MAX_WIDTH = 8;

interface OrderedBy {
  readonly order: Order;
  readonly field: Field;
}

export function makeSelect(context: Context, recipe: Select, use: Use): Rows {
  const from = buildFrom(context, recipe.from);
  const paging = pagingFor(recipe.paging, use);
  const { member } = use;
  const orders =
    recipe.distinct || member
      ? []
      : recipe.order.map((order) => ({ order, field: buildExpression(context, from.scope, order.by) }));
  if (isTop(use) && !recipe.fields) return selectAll(recipe, from, orders);

  // Of equal rows any one may stand for all, and which of them the order puts first may be open.
  const loose = recipe.distinct || !from.key;
  const fields = recipe.fields ?? from.scope.map((_, n): SelectField => ({ type: 'column', pick: { of: 'any', n } }));
  const made = fields
    .slice(0, member?.width ?? MAX_WIDTH)
    .map((field) => (field.type === 'window' ? buildWindow(from, field) : buildExpression(context, from.scope, field)));
  // What they are ordered by is put out too, so that the order of the rows can be seen.
  const partial = isTop(use) && !paging.total && paging.limit === undefined && !recipe.distinct;
  const keys = partial ? orders.map(({ field }) => field) : [];
  const open = (loose && !isTop(use)) || (member !== undefined && use.inside);
  const settled = open ? made.map(settle) : made;
  const outputs = nameOutputs(context, use, [...settled, ...keys]);
  const byOutput = recipe.distinct && !member ? orderOutputs(recipe.outputOrder, outputs) : [];
  const rest = !paging.total
    ? []
    : from.key && !recipe.distinct
      ? from.key.map(({ node }) => node)
      : byAllOutputs(outputs);
  const terms = [
    ...orders.map(({ order, field }) => orderTerm(field, order)),
    ...byOutput.map(({ term }) => term),
    ...rest,
  ];
  const positions = partial ? keys.map((_, i) => made.length + i) : byOutput.map(({ position }) => position);
  return {
    outputs,
    ordering: orderingOf(paging, positions, loose && anyNocase(outputs.values())),
    finish: (builder) => {
      const shown = selected(outputs, use);
      const chain = from.apply(recipe.distinct ? builder.selectDistinct(shown) : builder.select(shown));
      return member ? chain : page(chain, terms, paging);
    },
  };
}

/** Drizzle's `select()` without fields: objects by table, with null for an outer join's missing row. */
function selectAll(recipe: Select, from: BuiltFrom, orders: readonly OrderedBy[]): Rows {
  const ordered = recipe.distinct ? [] : orders;
  const paging: Paging = ordered.length > 0 ? { ...recipe.paging, total: true } : recipe.paging;
  const rest = paging.total ? (from.key ?? from.scope).map(({ node }) => node) : [];
  const terms = [...ordered.map(({ order, field }) => orderTerm(field, order)), ...rest];
  return {
    outputs: new Map(from.scope.map((field, i) => [`f${i}`, field])),
    ordering: orderingOf(paging, [], (recipe.distinct || !from.key) && anyNocase(from.scope)),
    finish: (builder) => page(from.apply(recipe.distinct ? builder.selectDistinct() : builder.select()), terms, paging),
  };
}

function buildWindow(from: BuiltFrom, window: Window): Field {
  const of = choose(from.scope, window.of);
  const peersAlike = window.call === 'rank()' || window.call === 'count(*)';
  const inexact = window.call.startsWith('sum') && !of.sums;
  const call = inexact || (!peersAlike && !from.key) ? 'rank()' : window.call;
  const partition = window.partition ? sql`partition by ${choose(from.scope, window.partition).node} ` : sql``;
  const first = window.descending ? desc(of.node) : sql`${of.node}`;
  const rest = call === 'rank()' || call === 'count(*)' ? [] : (from.key ?? []).map(({ node }) => sql`${node}`);
  return computed(
    sql`${fill(call, [of.node])} over (${partition}order by ${sql.join([first, ...rest], sql`, `)})`,
    of.nocase && call !== 'rank()',
  );
}
