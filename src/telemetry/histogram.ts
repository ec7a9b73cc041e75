const SMALLEST_MS = 0.1;
const STEPS_PER_DOUBLING = 4;

/** The upper bound of each bucket in ms: 0.1 ms to 62 s, each 2^¼ times the one before. Slower ones share a last bucket. */
const BOUNDS = Float64Array.from({ length: 78 }, (_, step) => SMALLEST_MS * 2 ** (step / STEPS_PER_DOUBLING));

/** What a histogram knows of the durations it was told, in milliseconds. All 0 when there were none. */
export interface LatencySnapshot {
  readonly count: number;
  /** Exact. */
  readonly meanMs: number;
  /** Exact. */
  readonly maxMs: number;
  /** Half of all took at most this long. This and the next two are upper bounds, at most 19 % above the true value. */
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
}

/**
 * Durations counted in 79 buckets: 632 bytes, however many are recorded.
 *
 * A quantile is the upper bound of the bucket in which it falls, or the maximum where that is less. So it is never below
 * the true value (the nearest-rank quantile of all that was recorded), and from 0.1 ms to 62 s at most 2^¼ times it,
 * 19 % above. Below 0.1 ms it says at most 0.1 ms; above 62 s it says the maximum.
 *
 * @example
 * const histogram = new Histogram();
 * histogram.record(performance.now() - started);
 * histogram.snapshot().p99Ms;
 */
export class Histogram {
  // Doubles count exactly up to 2^53. 32 bits would begin again at 0, after 50 days of 1,000 a second.
  readonly #buckets = new Float64Array(BOUNDS.length + 1);
  #count = 0;
  #totalMs = 0;
  #maxMs = 0;

  /**
   * Counts one duration, in constant time and without allocating. A negative one, of a clock that was set back, counts as
   * 0; what is not a finite number is left out.
   */
  record(ms: number): void {
    if (!Number.isFinite(ms)) return;
    const duration = Math.max(ms, 0);
    const bucket = bucketOf(duration);
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1;
    this.#count++;
    this.#totalMs += duration;
    if (duration > this.#maxMs) this.#maxMs = duration;
  }

  /** What was recorded so far, as plain data. */
  snapshot(): LatencySnapshot {
    return {
      count: this.#count,
      meanMs: this.#count === 0 ? 0 : this.#totalMs / this.#count,
      maxMs: this.#maxMs,
      p50Ms: this.#percentile(50),
      p90Ms: this.#percentile(90),
      p99Ms: this.#percentile(99),
    };
  }

  #percentile(percent: number): number {
    // Divided last, so that a whole rank is not rounded up to the next.
    const rank = Math.ceil((percent * this.#count) / 100);
    let counted = 0;
    for (let bucket = 0; bucket < BOUNDS.length; bucket++) {
      counted += this.#buckets[bucket] as number;
      if (counted >= rank) return Math.min(BOUNDS[bucket] as number, this.#maxMs);
    }
    return this.#maxMs;
  }
}

/** The first bucket whose bound is not below a duration. */
function bucketOf(ms: number): number {
  if (ms <= SMALLEST_MS) return 0;
  const bucket = Math.ceil(Math.log2(ms / SMALLEST_MS) * STEPS_PER_DOUBLING);
  if (bucket >= BOUNDS.length) return BOUNDS.length;
  // The logarithm may be rounded down to a whole number just above a bound.
  return (BOUNDS[bucket] as number) < ms ? bucket + 1 : bucket;
}
