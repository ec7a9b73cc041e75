import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BusyTime } from '../../src/telemetry/busy-time';

function busy(...spans: readonly (readonly [number, number])[]) {
  const time = new BusyTime();
  for (const [from, to] of spans) time.add(from, to);
  return time;
}

describe('the time in which something ran', () => {
  it.each<[string, [number, number][], number]>([
    ['nothing', [], 0],
    ['one span', [[2, 7]], 5],
    [
      'apart',
      [
        [0, 1],
        [5, 7],
      ],
      3,
    ],
    [
      'at the same time',
      [
        [0, 10],
        [0, 10],
        [2, 10],
      ],
      10,
    ],
    [
      'overlapping',
      [
        [0, 4],
        [3, 8],
      ],
      8,
    ],
    [
      'touching',
      [
        [0, 4],
        [4, 8],
      ],
      8,
    ],
    [
      'one around others',
      [
        [1, 2],
        [4, 5],
        [0, 9],
      ],
      9,
    ],
    [
      'one around the last',
      [
        [1, 2],
        [4, 5],
        [3, 9],
      ],
      7,
    ],
    [
      'of no length',
      [
        [3, 3],
        [3, 3],
      ],
      0,
    ],
  ])('%s', (_name, spans, ms) => {
    const time = busy(...spans);
    expect(time.ms).toBe(ms);
    expect(time.count).toBe(spans.length);
  });

  it('is right for any spans, told as they end', () => {
    const span = fc.tuple(fc.nat(100), fc.nat(20)).map(([from, length]) => [from, from + length] as const);
    fc.assert(
      fc.property(fc.array(span, { maxLength: 60 }), (spans) => {
        const covered = new Set<number>();
        for (const [from, to] of spans) for (let at = from; at < to; at++) covered.add(at);
        expect(busy(...spans.toSorted((a, b) => a[1] - b[1])).ms).toBe(covered.size);
      }),
    );
  });

  it('adds up any number of spans', () => {
    const spans = Array.from({ length: 1000 }, (_, i) => [i * 10, i * 10 + 3] as const);
    expect(busy(...spans)).toMatchObject({ ms: 3000, count: 1000 });
  });
});
