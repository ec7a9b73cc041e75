import { pause } from '../execution/retry';

/** The shortest wait that is remembered grows by so much with each call, so that a lucky one is forgotten. */
const FORGETS = 1.01;
/** Clocks of the runtime have steps of a millisecond. */
const LEAST_WAIT_MS = 1;
/** How much one call counts: about so many of the last ones, as one over this. */
const RECENT = 0.05;
/** It rests for so many times as long as it has worked; longer while others use the shards, which shows in how long calls wait. */
const LEAST_RESTS = 1;
const MOST_RESTS = 10;
const RESTS_PER_WAIT = 3;
const MAX_REST_MS = 4000;
/** How long one batch may hold up whoever comes after it, where nobody else is. */
const MAX_BATCH_MS = 100;

/**
 * How much of the shards' time a mover may take. A shard has one thread, so that what a call waits for before it runs are the
 * calls of others: that is seen at the mover's own calls, without any that only ask.
 */
export class Pace {
  readonly #best = new Map<string, number>();
  /** How long calls wait of late, in times of the shortest wait of the same shard. */
  #waits = 1;
  /** Milliseconds of work since the last rest. */
  #work = 0;
  #longest = 0;

  /** @param ranMs What of its time the database was at work on it. */
  called(shard: string, tookMs: number, ranMs: number): void {
    const waited = Math.max(LEAST_WAIT_MS, tookMs - ranMs);
    const best = Math.min((this.#best.get(shard) ?? Number.POSITIVE_INFINITY) * FORGETS, waited);
    this.#best.set(shard, best);
    this.#waits += RECENT * (waited / best - this.#waits);
    this.#work += ranMs + best;
    this.#longest = Math.max(this.#longest, ranMs);
  }

  get #rests(): number {
    return Math.min(MOST_RESTS, LEAST_RESTS + RESTS_PER_WAIT * (this.#waits - 1));
  }

  /** How many times larger the next piece of work may be, so that none of its batches holds others up for long. */
  takeGrowth(): number {
    const growth = MAX_BATCH_MS / this.#rests / Math.max(1, this.#longest);
    this.#longest = 0;
    return growth;
  }

  /** Lets others have the shards, for as long as is fair after what was done since the last time. */
  async rest(): Promise<void> {
    const restMs = Math.min(MAX_REST_MS, this.#work * this.#rests);
    this.#work = 0;
    if (restMs >= 1) await pause(restMs);
  }
}
