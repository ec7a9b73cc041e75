import { expectTypeOf, test } from 'vitest';
import { shards } from '../support/shards';

test('shards are real D1 bindings', () => {
  expectTypeOf(shards(2)).toEqualTypeOf<Record<string, D1Database>>();
});
