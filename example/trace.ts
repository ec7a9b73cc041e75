import type { QueryEvent } from '../src';

/** What one statement of a request cost. */
export interface TracedQuery {
  kind: string;
  shards: readonly string[];
  ms: number;
}

/** Collects the statements of one request. One per request: module scope is shared by concurrent requests. */
export class Trace {
  readonly #start = performance.now();
  readonly #queries: TracedQuery[] = [];
  readonly #shards = new Set<string>();

  record({ kind, shards, durationMs }: QueryEvent): void {
    this.#queries.push({ kind, shards, ms: round(durationMs) });
    for (const shard of shards) this.asked(shard);
  }

  /** A shard was asked past the router, which therefore does not report it. */
  asked(shard: string): void {
    this.#shards.add(shard);
  }

  /** The answer to the request: its data, every shard that was asked, and the milliseconds since the request came in. */
  answer<T>(data: T) {
    return {
      data,
      shards: [...this.#shards].sort(),
      ms: round(performance.now() - this.#start),
      queries: this.#queries,
    };
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
