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

  readonly record = (event: QueryEvent): void => {
    this.#queries.push({ kind: event.kind, shards: event.shards, ms: round(event.durationMs) });
  };

  /** The answer to the request: its data, every shard that was asked, and the milliseconds since the request came in. */
  answer<T>(data: T) {
    return {
      data,
      shards: [...new Set(this.#queries.flatMap((query) => query.shards))].sort(),
      ms: round(performance.now() - this.#start),
      queries: this.#queries,
    };
  }
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
