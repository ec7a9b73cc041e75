import type { JobOptions } from '../catalog/journal';
import { pause } from '../execution/retry';
import type { Pace } from './pace';

/** Rows of the first move. At most twice as many with each one, and at least half as many. */
const FIRST_ROWS = 250;
const LEAST_ROWS = 50;
/** So that writes to all shards, which wait while a move is under way, get their turn. */
const MIN_REST_MS = 20;

/** Paces the moves of a job: at most so many rows a second, in moves so small, and with rests so long, that shards stay quick. */
export class Throttle {
  /** The last move: when it began, and what it moved. */
  #last: { readonly began: number; readonly rows: number } | undefined;
  #rows = FIRST_ROWS;

  constructor(readonly pace: Pace) {}

  /** How many rows the next move may have. */
  rowsOf({ rowsPerMove }: Pick<JobOptions, 'rowsPerMove'>): number {
    return Math.min(rowsPerMove, this.#rows);
  }

  moved(began: number, rows: number): void {
    this.#last = { began, rows };
    this.#rows = Math.max(LEAST_ROWS, this.#rows * Math.min(2, Math.max(0.5, this.pace.takeGrowth())));
  }

  /** Returns when the next move may begin; at once where there was none before. */
  async turn({ rowsPerSecond }: Pick<JobOptions, 'rowsPerSecond'>): Promise<void> {
    if (!this.#last) return;
    const { began, rows } = this.#last;
    this.#last = undefined;
    const ended = Date.now();
    await this.pace.rest();
    const byRate = (rows * 1000) / rowsPerSecond - (Date.now() - began);
    const left = Math.max(byRate, MIN_REST_MS - (Date.now() - ended));
    if (left > 0) await pause(left);
  }
}
