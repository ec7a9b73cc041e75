import fc from 'fast-check';
import type { Comparison, Condition, Expression, Pick, Subquery } from './recipe';
import { PATTERNS, TEMPLATES_1, TEMPLATES_2 } from './templates';

/** Large enough for every list that it picks from, modulo its length. */
export const pickNumber = fc.nat(59);

/** Undefined in the other cases, and when a failure is made smaller. */
export const maybe = <T>(arbitrary: fc.Arbitrary<T>, percent = 33): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: 100 - percent, arbitrary: fc.constant(undefined) },
    { weight: percent, arbitrary },
  );

export const pick = (...of: readonly Pick['of'][]): fc.Arbitrary<Pick> =>
  fc.record({ of: fc.constantFrom(...of), n: pickNumber });

export const anyPick = pick('any', 'text', 'number', 'key', 'any');

const comparison = fc.constantFrom<Comparison>('=', '<>', '<', '<=', '>', '>=', 'is', 'is not');

export const column: fc.Arbitrary<Expression> = fc.record({ type: fc.constant('column'), pick: anyPick });

const value: fc.Arbitrary<Expression> = fc.record({
  type: fc.constant('value'),
  value: fc.constantFrom<string | number | null>(0, 1, 2, -1, 1.5, 100, 'a', 'A', '', '1', 'é', '😀', null),
  bound: fc.boolean(),
});

const call = (argument: fc.Arbitrary<Expression>): fc.Arbitrary<Expression> =>
  fc.oneof(
    fc.record({ type: fc.constant('call'), template: fc.constantFrom(...TEMPLATES_1), args: fc.tuple(argument) }),
    fc.record({
      type: fc.constant('call'),
      template: fc.constantFrom(...TEMPLATES_2),
      args: fc.tuple(argument, argument),
    }),
  );

/** Made of columns and calls alone, so that its SQL has no parameters. */
export const pureExpression: fc.Arbitrary<Expression> = fc.oneof(
  { withCrossShrink: true },
  { weight: 3, arbitrary: column },
  { weight: 1, arbitrary: call(column) },
);

/** Without subqueries: what a shard can often work out by itself. */
export const plainExpression: fc.Arbitrary<Expression> = fc.oneof(
  { withCrossShrink: true },
  { weight: 4, arbitrary: column },
  { weight: 2, arbitrary: call(fc.oneof({ weight: 3, arbitrary: column }, { weight: 1, arbitrary: value })) },
);

const expressions = new Map<number, fc.Arbitrary<Expression>>();

/** `depth`: how many levels of calls, cases and subqueries there may be. */
export function expression(depth: number): fc.Arbitrary<Expression> {
  return memo(expressions, depth, () => {
    if (depth === 0)
      return fc.oneof({ withCrossShrink: true }, { weight: 3, arbitrary: column }, { weight: 1, arbitrary: value });
    const inner = expression(depth - 1);
    const cases: fc.Arbitrary<Expression> = fc.record({
      type: fc.constant('case'),
      when: condition(depth - 1),
      // biome-ignore lint/suspicious/noThenProperty: the part of CASE WHEN that SQL calls THEN; the object is never awaited.
      then: inner,
      otherwise: inner,
    });
    const scalar: fc.Arbitrary<Expression> = fc.record({
      type: fc.constant('scalar'),
      of: subquery(depth - 1),
      aggregate: fc.constantFrom('count(*)', 'count', 'max', 'min', 'sum'),
    });
    return fc.oneof(
      { withCrossShrink: true },
      { weight: 6, arbitrary: column },
      { weight: 1, arbitrary: value },
      { weight: 4, arbitrary: call(inner) },
      { weight: 1, arbitrary: cases },
      { weight: 1, arbitrary: scalar },
    );
  });
}

const conditions = new Map<number, fc.Arbitrary<Condition>>();

export function condition(depth: number): fc.Arbitrary<Condition> {
  return memo(conditions, depth, () => {
    if (depth === 0) return leaf(0);
    const inner = condition(depth - 1);
    return fc.oneof(
      { withCrossShrink: true },
      { weight: 5, arbitrary: leaf(depth) },
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constantFrom('and', 'or'),
          of: fc.array(inner, { minLength: 1, maxLength: 3 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('loose or'), of: fc.tuple(inner, inner) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('not'), of: inner }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('exists'), of: subquery(depth - 1), not: fc.boolean() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          type: fc.constant('in subquery'),
          column: anyPick,
          of: subquery(depth - 1),
          not: fc.boolean(),
        }),
      },
    );
  });
}

/** Ties two tables together, or seems to: inside OR, NOT and the ON of an outer join it does not. */
export const sameKey: fc.Arbitrary<Condition> = fc.record({
  type: fc.constant('compare'),
  left: fc.record({ type: fc.constant('column'), pick: pick('key') }),
  by: fc.constant('='),
  right: fc.record({ type: fc.constant('column'), pick: pick('key') }),
});

/** Without subqueries. */
export const plainCondition: fc.Arbitrary<Condition> = fc.oneof(
  { withCrossShrink: true },
  { weight: 4, arbitrary: leaf(0) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constantFrom('and', 'or'), of: fc.array(leaf(0), { minLength: 1, maxLength: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('not'), of: leaf(0) }) },
);

function leaf(depth: number): fc.Arbitrary<Condition> {
  const not = fc.boolean();
  const sample = (of: fc.Arbitrary<Pick>, by: fc.Arbitrary<Comparison>): fc.Arbitrary<Condition> =>
    fc.record({ type: fc.constant('sample'), column: of, by, sample: pickNumber, flipped: fc.boolean() });
  const some = fc.array(pickNumber, { maxLength: 5 });
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: sample(anyPick, comparison) },
    { weight: 3, arbitrary: sample(pick('key'), fc.constant('=')) },
    { weight: 1, arbitrary: sameKey },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant('in'), column: pick('key', 'key', 'any'), samples: some, not }),
    },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('json'), column: pick('key', 'any'), samples: some, not }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('null'), column: anyPick, not }) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('between'), column: anyPick, low: pickNumber, high: pickNumber, not }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('like'),
        column: anyPick,
        pattern: fc.constantFrom(...PATTERNS),
        by: fc.constantFrom('like', 'not like', 'glob'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('compare'),
        left: expression(depth),
        by: comparison,
        right: expression(depth),
      }),
    },
  );
}

const subqueries = new Map<number, fc.Arbitrary<Subquery>>();

function subquery(depth: number): fc.Arbitrary<Subquery> {
  return memo(subqueries, depth, () =>
    fc.record({
      table: pickNumber,
      cte: fc.boolean(),
      aliased: fc.boolean(),
      linked: fc.boolean(),
      join: maybe(
        fc.record({
          table: pickNumber,
          kind: fc.constantFrom('inner', 'left'),
          link: pickNumber,
          everyLink: fc.boolean(),
        }),
        20,
      ),
      where: maybe(condition(depth), 50),
      output: anyPick,
    }),
  );
}

function memo<T>(known: Map<number, T>, depth: number, make: () => T): T {
  const found = known.get(depth);
  if (found !== undefined) return found;
  const made = make();
  known.set(depth, made);
  return made;
}
