import { describe, expect, it } from 'vitest';
import { evenRanges, SLOTS, slotOf } from '../src/placement/slots';
import { hashOwner } from './support/owner';

const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);

/** How many of the keys each shard gets, the fullest first. */
function spread(keys: readonly string[], shards: number): number[] {
  const ownerOf = hashOwner(names(shards));
  const counts = new Map<string, number>();
  for (const key of keys) {
    const owner = ownerOf(key);
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
  }
  return [...counts.values()].sort((a, b) => b - a);
}

const list = (key: (i: number) => string) => Array.from({ length: 100_000 }, (_, i) => key(i));
/** The shape of a UUID, always the same ones. */
const uuid = (i: number) => {
  const digits = (BigInt(i) * 0x9e3779b97f4a7c15f39cc0605cedc835n).toString(16).padStart(32, '0').slice(-32);
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-4$3-$4-$5');
};

// The first is the published XXH32 of nothing, 0x02cc5d05, modulo 16384; the others were computed once and must stay.
const FIXED_SLOTS = [7429, 3250, 11404, 6985, 10664];

describe('slots', () => {
  it.each([
    ['sequential integers', list(String)],
    ['integers by 3', list((i) => String(i * 3))],
    ['integers by 7', list((i) => String(i * 7))],
    ['integers by 9', list((i) => String(i * 9))],
    ['UUIDs', list(uuid)],
    ['emails', list((i) => `user.${i}@example${i % 50}.com`)],
  ])('spread %s so that the fullest of 10 shards holds at most 1.10 of its share', (_name, keys) => {
    const counts = spread(keys, 10);
    expect(counts).toHaveLength(10);
    expect(counts[0]).toBeLessThanOrEqual((keys.length / 10) * 1.1);
  });

  it('never change: they say where the rows of existing databases are', () => {
    expect(['', '0', 'user-123', 'Ωmega', '9007199254740993'].map(slotOf)).toEqual(FIXED_SLOTS);
  });

  it.each([1, 2, 3, 7, 10, 1000])('are shared by %i shards in equal ranges', (count) => {
    const starts = evenRanges(count);
    const sizes = starts.map((start, i) => (starts[i + 1] ?? SLOTS) - start);
    expect(starts[0]).toBe(0);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(SLOTS);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });
});
