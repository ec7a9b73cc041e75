import type { RetryEvent } from './channels';
import { Histogram, type LatencySnapshot } from './histogram';

export type RetryReason = RetryEvent['reason'];

/** What happened on one shard. */
export interface ShardTelemetry {
  readonly name: string;
  /** Calls to the database, failed ones included: one for each statement or batch that was sent. */
  readonly calls: number;
  /** Calls that failed. */
  readonly errors: number;
  /** Repetitions, whatever the reason. */
  readonly retries: number;
  /** The same by reason; reasons that did not occur are left out. */
  readonly retryReasons: Readonly<Partial<Record<RetryReason, number>>>;
  /** How long the calls took, failed ones included. */
  readonly latency: LatencySnapshot;
}

/** What happened since the cluster was opened in this isolate. Plain data, made for `JSON.stringify`; a copy. */
export interface TelemetrySnapshot {
  /** The shards that were asked, in the order in which each was asked first. */
  readonly shards: readonly ShardTelemetry[];
  /** Workers KV. A failed read or write counts as one too. */
  readonly kv: { readonly reads: number; readonly writes: number; readonly failures: number };
  /** The catalog of shards and moves. A failed call counts as a call too. */
  readonly catalog: { readonly calls: number; readonly failures: number };
}

/**
 * Counts since start for one cluster in one isolate: other isolates count for themselves. It holds about 1 KB for each
 * shard that was asked and nothing per call, key or statement.
 *
 * @example
 * const telemetry = new Telemetry();
 * telemetry.d1('db-east', performance.now() - started, false);
 * telemetry.snapshot().shards[0]?.latency.p99Ms;
 */
export class Telemetry {
  readonly #shards = new Map<string, ShardCounts>();
  readonly #kv = { reads: 0, writes: 0, failures: 0 };
  readonly #catalog = { calls: 0, failures: 0 };

  /** A shard was called once: how long that took in milliseconds, and whether it failed. */
  d1(shard: string, durationMs: number, failed: boolean): void {
    const counts = this.#of(shard);
    counts.calls++;
    if (failed) counts.errors++;
    counts.latency.record(durationMs);
  }

  /** Something is asked once more because of what this shard answered. */
  retry(shard: string, reason: RetryReason): void {
    const { retries } = this.#of(shard);
    retries.set(reason, (retries.get(reason) ?? 0) + 1);
  }

  kvRead(): void {
    this.#kv.reads++;
  }

  kvWrite(): void {
    this.#kv.writes++;
  }

  /** Besides `kvRead` or `kvWrite`: that one failed. */
  kvFailure(): void {
    this.#kv.failures++;
  }

  catalogCall(): void {
    this.#catalog.calls++;
  }

  /** Besides `catalogCall`: that one failed. */
  catalogFailure(): void {
    this.#catalog.failures++;
  }

  snapshot(): TelemetrySnapshot {
    return {
      shards: Array.from(this.#shards, ([name, counts]) => snapshotOf(name, counts)),
      kv: { ...this.#kv },
      catalog: { ...this.#catalog },
    };
  }

  #of(shard: string): ShardCounts {
    let counts = this.#shards.get(shard);
    if (!counts) {
      counts = { calls: 0, errors: 0, retries: new Map(), latency: new Histogram() };
      this.#shards.set(shard, counts);
    }
    return counts;
  }
}

interface ShardCounts {
  calls: number;
  errors: number;
  readonly retries: Map<RetryReason, number>;
  readonly latency: Histogram;
}

function snapshotOf(name: string, { calls, errors, retries, latency }: ShardCounts): ShardTelemetry {
  let total = 0;
  for (const count of retries.values()) total += count;
  return {
    name,
    calls,
    errors,
    retries: total,
    retryReasons: Object.fromEntries(retries),
    latency: latency.snapshot(),
  };
}
