import { pause } from '../execution/retry';

/** The shortest wait that is remembered grows by so much with each call, so that a lucky one is forgotten. */
const FORGETS = 1.01;
/** Clocks of the runtime have steps of a millisecond: what is shorter than two says nothing. */
const LEAST_WAIT_MS = 2;
/** A call has waited for others when it took so many times, and so many milliseconds, longer than the shortest wait of its shard. */
const LONGER = 2;
const LONGER_MS = 3;
/** One call that took very long, as when the process was busy itself, is no more than this. */
const MOST_WAITS = 8;
/** Only calls that carry and do next to nothing tell how long they wait: the way of many rows takes its time as well. */
const LIGHT_MS = 2;
const LIGHT_CHARS = 10_000;
/** How much one call counts that has waited longer than those before it, and one that has waited less. */
const RISES = 0.1;
const FALLS = 0.2;
/** It rests for so many times as long as it has worked; longer while others use the shards, which shows in how long calls wait. */
const LEAST_RESTS = 0.25;
const MOST_RESTS = 6;
const RESTS_PER_WAIT = 3;
const MAX_REST_MS = 4000;
/** Between two calls it stays away for so many times as long as the last one has worked, at most; not at all where calls do not wait. */
const MOST_BREATHS = 2;
const MAX_BREATH_MS = 50;
/** How long one batch may hold up whoever comes after it, where nobody else is. */
const MAX_BATCH_MS = 50;

/**
 * How much of the shards' time a mover may take. A shard has one thread, so that what a call waits for before it runs are the
 * calls of others: that is seen at the mover's own calls, without any that only ask.
 */
export class Pace {
  readonly #best = new Map<string, number>();
  /** How long calls wait of late, in times of the shortest wait of the same shard; 1 where none waits clearly longer than that. */
  #waits = 1;
  /** Milliseconds of work since the last rest. */
  #work = 0;
  #longest = 0;
  #last = 0;

  /**
   * @param ranMs What of its time the database was at work on it.
   * @param chars Of its parameters.
   */
  called(shard: string, tookMs: number, ranMs: number, chars: number): void {
    const waited = Math.max(LEAST_WAIT_MS, tookMs - ranMs);
    const best = Math.min((this.#best.get(shard) ?? Number.POSITIVE_INFINITY) * FORGETS, waited);
    this.#best.set(shard, best);
    if (ranMs <= LIGHT_MS && chars <= LIGHT_CHARS) {
      const isLonger = waited > Math.max(LONGER * best, best + LONGER_MS);
      const waits = isLonger ? Math.min(MOST_WAITS, waited / best) : 1;
      this.#waits += (waits > this.#waits ? RISES : FALLS) * (waits - this.#waits);
    }
    this.#last = ranMs + best;
    this.#work += this.#last;
    this.#longest = Math.max(this.#longest, ranMs);
  }

  get #rests(): number {
    return Math.min(MOST_RESTS, LEAST_RESTS + RESTS_PER_WAIT * (this.#waits - 1));
  }

  /** Before each call: what has come up behind the last one goes first, or it would wait for a whole move. */
  async breathe(): Promise<void> {
    const breathMs = Math.min(MAX_BREATH_MS, this.#last * Math.min(MOST_BREATHS, this.#waits - 1));
    this.#last = 0;
    if (breathMs >= 1) await pause(breathMs);
  }

  /** How many times larger the next piece of work may be, so that none of its batches holds others up for long. */
  takeGrowth(): number {
    const growth = MAX_BATCH_MS / Math.max(1, this.#rests) / Math.max(1, this.#longest);
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
