import fc from 'fast-check';
import {
  condition,
  expression,
  maybe,
  pickNumber,
  plainCondition,
  plainExpression,
} from '../queries/arbitrary-condition';
import type { Assignment, Conflict, Few, Returning, RowRecipe, Step, Write } from './recipe';

const returning = fc.constantFrom<Returning>('none', 'none', 'all', 'columns');

const row: fc.Arbitrary<RowRecipe> = fc.record({
  keys: fc.tuple(pickNumber, pickNumber, pickNumber),
  cells: fc.array(pickNumber, { minLength: 8, maxLength: 8 }),
  computed: maybe(expression(1), 9),
});

const cell = fc.record({ type: fc.constant('cell' as const), n: pickNumber });

const assignment: fc.Arbitrary<Assignment> = fc.record({
  column: pickNumber,
  value: fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: cell },
    { weight: 4, arbitrary: plainExpression },
    { weight: 1, arbitrary: expression(1) },
  ),
});

const upsert: fc.Arbitrary<Assignment> = fc.record({
  column: pickNumber,
  value: fc.oneof(
    { withCrossShrink: true },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('excluded' as const) }) },
    { weight: 1, arbitrary: cell },
    { weight: 1, arbitrary: plainExpression },
  ),
});

const conflict: fc.Arbitrary<Conflict> = fc.oneof(
  { withCrossShrink: true },
  fc.record({ type: fc.constant('nothing' as const), target: fc.constantFrom('unique', 'unique', 'none', 'primary') }),
  fc.record({
    type: fc.constant('update' as const),
    target: fc.constantFrom('unique', 'unique', 'unique', 'primary'),
    set: fc.array(upsert, { minLength: 1, maxLength: 2 }),
    where: maybe(condition(0), 20),
  }),
);

const few: fc.Arbitrary<Few> = fc.record({
  order: maybe(fc.record({ by: expression(0), descending: fc.boolean() })),
  limit: fc.nat(4),
});

const where = fc.oneof(
  { withCrossShrink: true },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 4, arbitrary: plainCondition },
  { weight: 1, arbitrary: condition(1) },
);

const write: fc.Arbitrary<Write> = fc.oneof(
  { withCrossShrink: true },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('insert' as const),
      table: pickNumber,
      rows: fc.array(row, { minLength: 1, maxLength: 5 }),
      conflict: maybe(conflict, 50),
      returning,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('update' as const),
      table: pickNumber,
      set: fc.array(assignment, { minLength: 1, maxLength: 2 }),
      key: maybe(pickNumber, 3),
      where,
      few: maybe(few, 11),
      returning,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('delete' as const),
      table: pickNumber,
      where,
      few: maybe(few, 15),
      returning,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('insert select' as const), tag: pickNumber, where, returning }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('update from' as const),
      pair: pickNumber,
      column: pickNumber,
      from: pickNumber,
      where,
    }),
  },
);

/** What one after another is done to the same tables. */
export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { withCrossShrink: true },
    { weight: 9, arbitrary: write },
    {
      weight: 1,
      arbitrary: fc.record({
        type: fc.constant('batch' as const),
        of: fc.array(write, { minLength: 1, maxLength: 3 }),
        user: maybe(pickNumber, 95),
      }),
    },
  ),
  { minLength: 1, maxLength: 5 },
);
