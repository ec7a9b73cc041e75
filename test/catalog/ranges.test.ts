import { describe, expect, it } from 'vitest';
import type { OpenRequest, SlotRange } from '../../src/catalog/catalog';
import { evenRanges, SLOTS } from '../../src/placement/slots';
import { stores } from './stores';

const even = (shards: number): number[] => Array.from({ length: shards }, () => 1);

/** Every slot exactly once, in order. */
function expectCover(ranges: readonly SlotRange[]): void {
  let next = 0;
  for (const { lo, hi } of ranges) {
    expect(lo).toBe(next);
    expect(hi).toBeGreaterThanOrEqual(lo);
    next = hi + 1;
  }
  expect(next).toBe(SLOTS);
}

describe.each(stores)('slot ranges from a %s', (_name, fresh) => {
  const spread = async (weights: readonly number[]) => {
    const request: OpenRequest = {
      shards: weights.map((weight, i) => ({ name: `s${i}`, weight })),
      keyspaces: [{ name: 'default', strategy: 'hash' }],
    };
    const { map } = await (await fresh()).client().open(request);
    expect(map.shards.map(({ weight }) => weight)).toEqual(weights);
    return map.keyspaces.default?.ranges ?? [];
  };

  it.each([1, 2, 3, 7, 1000])('of %i equal shards are those of hash placement', async (count) => {
    const ranges = await spread(even(count));
    expectCover(ranges);
    expect(ranges.map(({ lo }) => lo)).toEqual(evenRanges(count));
    expect(ranges.map(({ shard }) => shard)).toEqual(Array.from({ length: count }, (_, i) => `s${i}`));
  });

  it.each<[string, number[]]>([
    ['small whole', [1, 2, 3]],
    ['decimal', [0.1, 0.2, 0.7, 1.15]],
    ['periodic', [1 / 3, 2 / 3, 5 / 7, 1e5 / 3]],
    ['far apart', [0.001, 100_000, 0.001, 1, 0.001]],
    ['1000 different', Array.from({ length: 1000 }, (_, i) => 0.5 + ((i * 7919) % 1000) / 10)],
    ['1000 largest', Array.from({ length: 1000 }, () => 100_000)],
  ])('follow %s weights to within a slot', async (_kind, weights) => {
    const ranges = await spread(weights);
    expectCover(ranges);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const slots = new Map(ranges.map(({ shard, lo, hi }) => [shard, hi - lo + 1]));
    expect(slots.size).toBe(ranges.length);
    for (const [i, weight] of weights.entries()) {
      const owed = (weight / total) * SLOTS;
      expect(Math.abs((slots.get(`s${i}`) ?? 0) - owed), `s${i}`).toBeLessThan(1);
    }
  });
});
