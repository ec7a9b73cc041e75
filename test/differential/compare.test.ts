import { describe, expect, it } from 'vitest';
import { difference, type Ordering } from './compare';

const ordered: Ordering = { rows: 'exact', keys: [], fold: false };
const unordered: Ordering = { rows: 'any', keys: [], fold: false };

describe('the comparison', () => {
  it('finds a row that is missing, is there twice, or is another', () => {
    const rows = [['a'], ['b'], ['b']];
    expect(difference(rows, [['a'], ['b']], unordered)).toContain('only expected:\n    ["b"]');
    expect(difference(rows, [['a'], ['a'], ['b']], unordered)).toContain('Other rows');
    expect(difference(rows, [['b'], ['a'], ['b']], unordered)).toBeUndefined();
  });

  it('finds rows in another order where the order is fixed', () => {
    expect(difference([[1], [2]], [[2], [1]], ordered)).toContain('The same rows in another order');
    expect(difference([[1], [2]], [[1], [2]], ordered)).toBeUndefined();
  });

  it('looks at the order of the keys alone where only they are ordered', () => {
    const byKey: Ordering = { ...unordered, keys: [1] };
    const rows = [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ];
    expect(
      difference(
        rows,
        [
          ['b', 1],
          ['a', 1],
          ['c', 2],
        ],
        byKey,
      ),
    ).toBeUndefined();
    expect(
      difference(
        rows,
        [
          ['a', 1],
          ['c', 2],
          ['b', 1],
        ],
        byKey,
      ),
    ).toContain('row 1 should have [1] and has [2]');
  });

  it('tells types apart', () => {
    for (const [a, b] of [
      ['1', 1],
      [null, ''],
      [true, 1],
      [[97], 'a'],
      [new Date(0), 0],
      [undefined, null],
      [null, Number.NaN],
    ]) {
      expect(difference([{ v: a }], [{ v: b }], unordered), `${String(a)} and ${String(b)}`).toBeDefined();
    }
    expect(difference([{ v: new Uint8Array([1]) }], [{ v: new Uint8Array([2]) }], unordered)).toBeDefined();
  });

  it('folds ASCII letters, and only where it is told', () => {
    expect(difference([['A']], [['a']], unordered)).toBeDefined();
    expect(difference([['A']], [['a']], { ...unordered, fold: true })).toBeUndefined();
    expect(difference([['É']], [['é']], { ...unordered, fold: true })).toBeDefined();
  });

  it('only counts rows of which SQL does not say which they are', () => {
    expect(difference([[1]], [[2]], { ...unordered, rows: 'count' })).toBeUndefined();
    expect(difference([[1]], [], { ...unordered, rows: 'count' })).toContain('1 rows expected, 0 rows came');
  });
});
