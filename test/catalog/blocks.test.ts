import { beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog';
import { type Store, stores } from './stores';

describe.each(stores)('blocks of numbers from a %s', (_name, fresh) => {
  let store: Store;
  let catalog: Catalog;

  beforeEach(async () => {
    store = await fresh();
    catalog = store.client();
  });

  it('begin at 1 and follow each other, each counter for itself', async () => {
    // Also without a cluster: a counter needs none.
    expect(await catalog.block('users', 3)).toEqual({ from: 1, to: 3 });
    expect(await catalog.block('users', 1)).toEqual({ from: 4, to: 4 });
    expect(await catalog.block('posts', 10)).toEqual({ from: 1, to: 10 });
    expect(await store.client().block('users', 1000)).toEqual({ from: 5, to: 1004 });
  });

  it('lie above atLeast, which never turns a counter back', async () => {
    expect(await catalog.block('ids', 5, 100)).toEqual({ from: 101, to: 105 });
    expect(await catalog.block('ids', 5, 50)).toEqual({ from: 106, to: 110 });
    expect(await catalog.block('ids', 2, 109)).toEqual({ from: 111, to: 112 });
    expect(await catalog.block('ids', 2, 112)).toEqual({ from: 113, to: 114 });
    expect(await catalog.block('ids', 2, 115)).toEqual({ from: 116, to: 117 });
    expect(await catalog.block('fresh', 2, -7)).toEqual({ from: 1, to: 2 });
  });

  it('never overlap when 50 callers ask at once', async () => {
    const sizes = Array.from({ length: 50 }, (_, i) => 1 + ((i * 37) % 100));
    const blocks = await Promise.all(
      // Some of them ahead of the counter.
      sizes.map((size, i) => store.client().block('ids', size, i % 10 === 0 ? i * 40 : 0)),
    );
    const numbers = new Set<number>();
    for (const [i, { from, to }] of blocks.entries()) {
      expect(to - from + 1).toBe(sizes[i]);
      if (i % 10 === 0) expect(from).toBeGreaterThan(i * 40);
      for (let number = from; number <= to; number++) numbers.add(number);
    }
    expect(numbers.size).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  it('are exact up to the last safe integer and are refused beyond', async () => {
    const last = Number.MAX_SAFE_INTEGER;
    expect(await catalog.block('ids', 2, last - 3)).toEqual({ from: last - 2, to: last - 1 });
    await expect(catalog.block('ids', 2)).rejects.toThrow('counter_exhausted');
    expect(await catalog.block('ids', 1)).toEqual({ from: last, to: last });
    await expect(catalog.block('ids', 1)).rejects.toThrow('counter_exhausted');
    await expect(catalog.block('other', 1, last)).rejects.toThrow('counter_exhausted');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('are refused for the size %d', async (size) => {
    await expect(catalog.block('ids', size)).rejects.toThrow(RangeError);
    await expect(catalog.block('ids', 1, size === 0 ? 0.5 : size < 0 ? -1.5 : size)).rejects.toThrow(RangeError);
    expect(await catalog.block('ids', 1)).toEqual({ from: 1, to: 1 });
  });
});
