import { eq, gt, gte, lt, ne, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import { buildAggregate, buildExpression } from './build-condition';
import { buildFrom } from './build-from';
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
import { byAllOutputs, orderOutputs, positionOf } from './order-terms';
import type { Comparison, Grouped } from './recipe';
import { type Context, isColumn } from './scope';

export function makeGrouped(context: Context, recipe: Grouped, use: Use): Rows {
  const top = isTop(use);
  const from = buildFrom(context, recipe.from);
  const groups = recipe.by.map((expression) => buildExpression(context, from.scope, expression));
  const aggregates = recipe.aggregates.map((aggregate) =>
    buildAggregate(context, from.scope, aggregate, top ? 'shown' : 'sure'),
  );
  const fields = [...groups, ...aggregates].slice(0, use.member?.width);
  // Of equal values any one may stand for the group.
  const outputs = nameOutputs(context, use, top ? fields : fields.map(settle));
  const having =
    recipe.having &&
    compareNumber(
      buildAggregate(context, from.scope, recipe.having.of, 'sure').node,
      recipe.having.by,
      recipe.having.value,
    );
  const names = [...outputs.keys()];
  const by = groups.map((field, i) => {
    const as = names[i];
    // A group that is settled for the outside is another expression there than here.
    if (!top || recipe.style === 'expression' || as === undefined || isColumn(field.node)) return sql`${field.node}`;
    return recipe.style === 'position' ? positionOf(i) : sql`${sql.identifier(as)}`;
  });
  const paging = pagingFor(recipe.paging, use);
  const byOutput = use.member ? [] : orderOutputs(recipe.outputOrder, outputs);
  const rest = paging.total ? [...groups.map(({ node }) => node), ...byAllOutputs(outputs)] : [];
  const terms = [...byOutput.map(({ term }) => term), ...rest];
  return {
    outputs,
    ordering: orderingOf(
      paging,
      byOutput.map(({ position }) => position),
      anyNocase(outputs.values()),
    ),
    finish: (builder) => {
      const chain = from.apply(builder.select(selected(outputs, use)));
      const grouped = by.length > 0 ? chain.groupBy(...by) : chain;
      const kept = having ? grouped.having(having) : grouped;
      return use.member ? kept : page(kept, terms, paging);
    },
  };
}

const OPERATORS: Partial<Record<Comparison, (left: SQLWrapper, right: unknown) => SQL>> = {
  '=': eq,
  '<>': ne,
  '>': gt,
  '>=': gte,
  '<': lt,
};

function compareNumber(node: SQLWrapper, by: Comparison, value: number): SQL {
  return OPERATORS[by]?.(node, value) ?? sql`${node} ${sql.raw(by)} ${value}`;
}
