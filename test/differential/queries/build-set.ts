import { anyNocase, makeRows, orderingOf, outputPrefix, page, pagingFor, type Rows, type Use } from './build-rows';
import { byAllOutputs, orderOutputs } from './order-terms';
import type { SetOperation } from './recipe';
import type { Context, Field } from './scope';

const MAX_WIDTH = 6;

export function makeSet(context: Context, recipe: SetOperation, use: Use): Rows {
  const recipes = [recipe.first, ...recipe.rest.map(({ of }) => of)];
  const prefix = outputPrefix(context, use);
  const make = (width: number) =>
    recipes.map((part) => makeRows(context, part, { inside: use.inside, member: { width, prefix } }));
  // All parts have as many columns as the narrowest of them.
  const width = Math.min(...make(MAX_WIDTH).map(({ outputs }) => outputs.size));
  const [first, ...rest] = make(width);
  if (!first) throw new Error('A set operation has a first part.');
  const outputs: ReadonlyMap<string, Field> = new Map(
    [...first.outputs].map(([name, field]) => [name, { ...field, domain: undefined }]),
  );
  const paging = pagingFor(recipe.paging, use);
  const byOutput = orderOutputs(recipe.outputOrder, outputs, ['position', 'name']);
  const terms = [...byOutput.map(({ term }) => term), ...(paging.total ? byAllOutputs(outputs) : [])];
  const fold = [first, ...rest].some((part) => anyNocase(part.outputs.values()));
  return {
    outputs,
    ordering: orderingOf(
      paging,
      byOutput.map(({ position }) => position),
      fold,
    ),
    finish: (builder) => {
      const chain = rest.reduce((left, right, i) => {
        const op = recipe.rest[i]?.op ?? 'union';
        return left[op](right.finish(context.builder));
      }, first.finish(builder));
      return page(chain, terms, paging);
    },
  };
}
