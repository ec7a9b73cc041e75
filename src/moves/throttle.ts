import type { JobOptions } from '../catalog/journal';
import { pause } from '../execution/retry';

/** A shard is slow when a trivial question takes so many times, and so many milliseconds, longer than the fastest did. */
const SLOWER = 2;
const SLOWER_MS = 5;
/** The fastest answer that is remembered grows by so much with each one, so that a lucky one is forgotten. */
const FORGETS = 1.02;
/** Rows of the first move. Twice as many with each one that leaves the shards quick, half as many with each that does not. */
const FIRST_ROWS = 250;
const LEAST_ROWS = 50;
const FIRST_WAIT_MS = 25;
const MAX_WAIT_MS = 5000;
/** After each move it rests for so many times as long as that took: a shard has one thread, and it is in use. */
const RESTS = 1;
/** So that writes to all shards, which wait while a move is under way, get their turn. */
const MIN_WAIT_MS = 20;

/** Paces the moves of a job: at most so many rows a second, in moves so small, and with pauses so long, that shards stay quick. */
export class Throttle {
  /** The last move: when it began and ended, and what it moved. */
  #last: { readonly began: number; readonly ended: number; readonly rows: number } | undefined;
  #best = Number.POSITIVE_INFINITY;
  #rows = FIRST_ROWS;

  /** How many rows the next move may have. */
  rowsOf({ rowsPerMove }: Pick<JobOptions, 'rowsPerMove'>): number {
    return Math.min(rowsPerMove, this.#rows);
  }

  moved(began: number, rows: number): void {
    this.#last = { began, ended: Date.now(), rows };
  }

  /**
   * Returns when the next move may begin; at once where there was none before.
   *
   * @param probe How long the slower of both shards takes for a trivial question, in milliseconds.
   */
  async turn({ rowsPerSecond }: Pick<JobOptions, 'rowsPerSecond'>, probe: () => Promise<number>): Promise<void> {
    if (!this.#last) return;
    const { began, ended, rows } = this.#last;
    const byRate = (rows * 1000) / rowsPerSecond - (Date.now() - began);
    const rest = Math.min((ended - began) * RESTS, MAX_WAIT_MS) - (Date.now() - ended);
    await pause(Math.max(MIN_WAIT_MS, rest, byRate));
    const deadline = Date.now() + MAX_WAIT_MS;
    let wasSlow = false;
    for (let each = FIRST_WAIT_MS; this.#isSlow(await probe()) && Date.now() < deadline; each *= 2) {
      wasSlow = true;
      await pause(each);
    }
    this.#rows = Math.max(LEAST_ROWS, wasSlow ? this.#rows / 2 : this.#rows * 2);
    this.#last = undefined;
  }

  #isSlow(tookMs: number): boolean {
    this.#best = Math.min(this.#best * FORGETS, tookMs);
    return tookMs > Math.max(SLOWER * this.#best, this.#best + SLOWER_MS);
  }
}
