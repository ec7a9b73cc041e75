import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SlotRange } from '../../src/catalog/catalog';
import { evenOut } from '../../src/placement/even-out';
import { evenRanges, SLOTS } from '../../src/placement/slots';

const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);
const equal = (count: number) => names(count).map((name) => ({ name, weight: 1 }));

/** As first contact spreads them. */
function spread(count: number): SlotRange[] {
  const starts = evenRanges(count);
  return starts.map((lo, i) => ({ lo, hi: (starts[i + 1] ?? SLOTS) - 1, shard: `s${i}` }));
}

/** The owner of each slot after the moves; every move has to come from the owner before it. */
function apply(ranges: readonly SlotRange[], moves: ReturnType<typeof evenOut>): string[] {
  const owners = ranges.flatMap(({ lo, hi, shard }) => Array.from({ length: hi - lo + 1 }, () => shard));
  for (const { lo, hi, from, to } of moves) {
    for (let slot = lo; slot <= hi; slot++) {
      expect(owners[slot]).toBe(from);
      owners[slot] = to;
    }
  }
  return owners;
}

const countOf = (owners: readonly string[], name: string) => owners.filter((owner) => owner === name).length;
const moved = (moves: ReturnType<typeof evenOut>) => moves.reduce((sum, { lo, hi }) => sum + hi - lo + 1, 0);

describe('evening out the slots', () => {
  it('from 3 to 4 shards re-homes a quarter, and no more', () => {
    const moves = evenOut(spread(3), equal(4));
    expect(moved(moves) / SLOTS).toBeLessThanOrEqual(0.25);
    const owners = apply(spread(3), moves);
    for (const name of names(4)) expect(countOf(owners, name)).toBe(SLOTS / 4);
    expect(moves.every(({ to }) => to === 's3')).toBe(true);
  });

  it('moves nothing where all have their share, also when it cannot be divided', () => {
    for (const count of [1, 2, 3, 7, 10]) expect(evenOut(spread(count), equal(count))).toEqual([]);
  });

  it('takes all slots from a shard that is not listed', () => {
    const owners = apply(
      spread(3),
      evenOut(spread(3), [
        { name: 's0', weight: 1 },
        { name: 's2', weight: 1 },
      ]),
    );
    expect([countOf(owners, 's0'), countOf(owners, 's1'), countOf(owners, 's2')]).toEqual([SLOTS / 2, 0, SLOTS / 2]);
  });

  it('follows the weights, with the least movement, whatever was before', () => {
    const weight = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(weight, { minLength: 1, maxLength: 9 }),
        (before, weights) => {
          const shards = weights.map((one, i) => ({ name: `s${i}`, weight: one }));
          const total = weights.reduce((sum, one) => sum + one, 0);
          const ranges = spread(before);
          const moves = evenOut(ranges, shards);
          const owners = apply(ranges, moves);
          let needed = 0;
          for (const name of names(Math.max(before, weights.length))) {
            const share = (SLOTS * (weights[Number(name.slice(1))] ?? 0)) / total;
            expect(Math.abs(countOf(owners, name) - share)).toBeLessThan(1);
            needed += Math.max(0, countOf(owners, name) - countOf(apply(ranges, []), name));
          }
          expect(moved(moves)).toBe(needed);
        },
      ),
      { seed: 20261122, numRuns: 60 },
    );
  });
});
