import type { JobOptions } from '../catalog/journal';
import { pause } from '../execution/retry';

/** How much slower a move may be than the fastest of its kind before the next one waits as long as it took. */
const SLOWER = 2;
const MAX_WAIT_MS = 5000;
/** So that writes to all shards, which wait while a move is under way, get their turn. */
const MIN_WAIT_MS = 20;

/** Paces the moves of a job: at most so many rows a second, and less when a shard becomes slow. */
export class Throttle {
  #began = Date.now();
  /** The least time that a thousand rows have taken, in milliseconds. */
  #best = Number.POSITIVE_INFINITY;

  /** Called after each move; returns when the next one may begin. */
  async after(rows: number, { rowsPerSecond }: JobOptions): Promise<void> {
    const tookMs = Date.now() - this.#began;
    await pause(this.waitFor(rows, tookMs, rowsPerSecond));
    this.#began = Date.now();
  }

  /** How long to wait after a move of so many rows that took so long, in milliseconds. */
  waitFor(rows: number, tookMs: number, rowsPerSecond: number): number {
    // The steps of a move cost as much as some hundreds of rows.
    const each = (tookMs * 1000) / (rows + 500);
    this.#best = Math.min(this.#best, each);
    const byRate = (rows * 1000) / rowsPerSecond - tookMs;
    const byLoad = each > SLOWER * this.#best ? tookMs : 0;
    return Math.min(Math.max(byRate, byLoad, MIN_WAIT_MS), Math.max(MAX_WAIT_MS, byRate));
  }
}
