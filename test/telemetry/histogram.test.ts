import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram } from '../../src/telemetry/histogram';

/** How far above the true value a quantile may be. */
const MAX_RATIO = 2 ** (1 / 4);

function histogramOf(durations: readonly number[]) {
  const histogram = new Histogram();
  for (const ms of durations) histogram.record(ms);
  return histogram.snapshot();
}

/** The nearest-rank quantile. */
function trueQuantile(durations: readonly number[], percent: number): number {
  const sorted = durations.toSorted((a, b) => a - b);
  return sorted[Math.ceil((percent * sorted.length) / 100) - 1] as number;
}

function expectQuantiles(durations: readonly number[]): void {
  const { p50Ms, p90Ms, p99Ms, maxMs } = histogramOf(durations);
  expect(maxMs).toBe(Math.max(...durations));
  for (const [percent, told] of [[50, p50Ms] as const, [90, p90Ms] as const, [99, p99Ms] as const]) {
    const exact = trueQuantile(durations, percent);
    expect(told).toBeGreaterThanOrEqual(exact);
    expect(told).toBeLessThanOrEqual(maxMs);
    if (exact <= 62_000) expect(told).toBeLessThanOrEqual(Math.max(exact, 0.1) * MAX_RATIO * (1 + 1e-12));
  }
}

describe('a histogram of latencies', () => {
  it('knows nothing at first', () => {
    expect(histogramOf([])).toEqual({ count: 0, meanMs: 0, maxMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0 });
  });

  it('tells count, mean and maximum exactly', () => {
    expect(histogramOf([1, 2, 3, 10])).toMatchObject({ count: 4, meanMs: 4, maxMs: 10 });
  });

  it('tells one value exactly, as all are the maximum', () => {
    expect(histogramOf([7.3])).toEqual({ count: 1, meanMs: 7.3, maxMs: 7.3, p50Ms: 7.3, p90Ms: 7.3, p99Ms: 7.3 });
  });

  it('tells quantiles of 1 to 1000 ms within the stated error', () => {
    const durations = Array.from({ length: 1000 }, (_, i) => ((i * 389) % 1000) + 1);
    expectQuantiles(durations);
    const { p50Ms, p90Ms, p99Ms } = histogramOf(durations);
    // The bounds above 500, 900 and 990: 0.1 ms times 2^(50/4), 2^(53/4) and 2^(54/4), of which the last is the maximum.
    expect([p50Ms, p90Ms, p99Ms].map(Math.round)).toEqual([579, 974, 1000]);
  });

  it('does so for any durations', () => {
    const duration = fc.oneof(
      fc.double({ min: 0, max: 100_000, noNaN: true }),
      fc.double({ min: 0, max: 5, noNaN: true }),
      // At, just below and just above the bounds of buckets.
      fc
        .tuple(fc.integer({ min: 0, max: 80 }), fc.constantFrom(-1, 0, 1))
        .map(([step, side]) => 0.1 * 2 ** (step / 4) * (1 + side * Number.EPSILON)),
    );
    fc.assert(
      fc.property(fc.array(duration, { minLength: 1, maxLength: 300 }), (durations) => expectQuantiles(durations)),
    );
  });

  it('takes the upper bounds of 0.1 ms below the first bucket, and the maximum above the last', () => {
    expect(histogramOf([0, 0.01, 0.02, 5])).toMatchObject({ p50Ms: 0.1 });
    expect(histogramOf([70_000, 80_000, 90_000])).toMatchObject({ p50Ms: 90_000, p99Ms: 90_000 });
  });

  it('counts a negative duration as 0, and leaves out what is no number', () => {
    const snapshot = histogramOf([-5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 4]);
    expect(snapshot).toMatchObject({ count: 2, meanMs: 2, maxMs: 4 });
  });
});
