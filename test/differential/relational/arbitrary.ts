import fc from 'fast-check';
import { condition, expression, maybe, pickNumber } from '../queries/arbitrary-condition';
import type { Order } from '../queries/recipe';
import type { Level, RelationalQuery } from './recipe';

const order: fc.Arbitrary<Order> = fc.record({
  by: expression(0),
  descending: fc.boolean(),
  nulls: fc.constantFrom(undefined, undefined, 'first', 'last'),
});

function level(depth: number): fc.Arbitrary<Level> {
  return fc.record({
    columns: maybe(fc.array(pickNumber, { minLength: 1, maxLength: 4 }), 40),
    where: maybe(condition(1), 40),
    order: fc.array(order, { maxLength: 2 }),
    total: fc.boolean(),
    limit: maybe(fc.nat(6), 30),
    offset: maybe(fc.nat(4), 30),
    extra: maybe(pickNumber, 20),
    with:
      depth === 0
        ? fc.constant([])
        : fc.array(fc.record({ relation: pickNumber, level: level(depth - 1) }), { maxLength: 2 }),
  });
}

export const relationalQuery: fc.Arbitrary<RelationalQuery> = fc.record({
  table: pickNumber,
  first: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  level: level(2),
});
