import { beforeEach, describe, expect, it } from 'vitest';
import type { Catalog } from '../../src/catalog/catalog';
import { type Store, stores } from './stores';

describe.each(stores)('sequences from a %s', (_name, fresh) => {
  let store: Store;
  let catalog: Catalog;

  beforeEach(async () => {
    store = await fresh();
    catalog = store.client();
  });

  it('are not there before somebody says where they begin', async () => {
    expect(await catalog.sequence('users', 10)).toBeUndefined();
    expect(await catalog.sequence('users', 10)).toBeUndefined();
    expect(await catalog.sequence('users', 10, 500)).toEqual({ from: 501, to: 510 });
    expect(await catalog.sequence('users', 5)).toEqual({ from: 511, to: 515 });
    expect(await store.client().sequence('users', 1)).toEqual({ from: 516, to: 516 });
    expect(await catalog.sequence('posts', 1)).toBeUndefined();
  });

  it('are raised by atLeast and never turned back', async () => {
    expect(await catalog.sequence('users', 3, 0)).toEqual({ from: 1, to: 3 });
    expect(await catalog.sequence('users', 3, 100)).toEqual({ from: 101, to: 103 });
    expect(await catalog.sequence('users', 3, 50)).toEqual({ from: 104, to: 106 });
    expect(await catalog.sequence('users', 3, 106)).toEqual({ from: 107, to: 109 });
    expect(await catalog.sequence('negative', 2, -7)).toEqual({ from: 1, to: 2 });
  });

  it('share no numbers with counters, whatever the names', async () => {
    for (const name of ['ids', 'id:ids', 'block:ids']) {
      expect(await catalog.block(name, 10)).toEqual({ from: 1, to: 10 });
      expect(await catalog.sequence(name, 10)).toBeUndefined();
      expect(await catalog.sequence(name, 10, 40)).toEqual({ from: 41, to: 50 });
      expect(await catalog.block(name, 10)).toEqual({ from: 11, to: 20 });
    }
  });

  it('never overlap when 50 callers ask at once, some of whom begin them', async () => {
    const blocks = await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.client().sequence('users', 7, i % 3 === 0 ? 200 : undefined)),
    );
    const given = blocks.filter((block) => block !== undefined);
    expect(given.length).toBeGreaterThanOrEqual(17);
    const numbers = new Set(given.flatMap(({ from }) => Array.from({ length: 7 }, (_, i) => from + i)));
    expect(numbers.size).toBe(given.length * 7);
    expect(Math.min(...numbers)).toBe(201);
    expect(Math.max(...numbers)).toBe(200 + numbers.size);
  });

  it('are exact up to the last safe integer and are refused beyond', async () => {
    const last = Number.MAX_SAFE_INTEGER;
    expect(await catalog.sequence('users', 1, last - 2)).toEqual({ from: last - 1, to: last - 1 });
    await expect(catalog.sequence('users', 2)).rejects.toThrow('counter_exhausted');
    await expect(catalog.sequence('users', 2, 5)).rejects.toThrow('counter_exhausted');
    expect(await catalog.sequence('users', 1)).toEqual({ from: last, to: last });
    await expect(catalog.sequence('users', 1)).rejects.toThrow('counter_exhausted');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('are refused for the size %d', async (size) => {
    await expect(catalog.sequence('users', size)).rejects.toThrow(RangeError);
    await expect(catalog.sequence('users', size, 1)).rejects.toThrow(RangeError);
    await expect(catalog.sequence('users', 1, Number.isInteger(size) ? 0.5 : size)).rejects.toThrow(RangeError);
    expect(await catalog.sequence('users', 1)).toBeUndefined();
  });
});
