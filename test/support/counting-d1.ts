import { type D1Call, InterceptedD1 } from './intercepted-d1';

/** What went to one or more databases. Share one instance to count over several. */
export class D1Counts {
  /** Round trips of any kind. */
  calls = 0;
  /** Round trips that were a `batch()`. */
  batches = 0;
  /** Statements of the user, those inside batches included: what reads or writes the router's own tables is not counted. */
  statements = 0;
  inFlight = 0;
  /** The most calls that were under way at one moment: D1 allows 6 an invocation. */
  maxInFlight = 0;
  /** Every statement of the user in the order it was sent. */
  readonly sql: string[] = [];
  /** Every call in the order it was sent. */
  readonly log: D1Call[] = [];

  reset(): void {
    this.calls = this.batches = this.statements = 0;
    this.maxInFlight = this.inFlight;
    this.sql.length = this.log.length = 0;
  }

  async measure<T>(call: D1Call, run: () => Promise<T>): Promise<T> {
    this.calls++;
    if (call.method === 'batch') this.batches++;
    const own = call.statements.map(({ sql }) => sql).filter((sql) => !sql.includes('_shard_'));
    this.statements += own.length;
    this.sql.push(...own);
    this.log.push(call);
    this.inFlight++;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    try {
      return await run();
    } finally {
      this.inFlight--;
    }
  }
}

/** A D1 database that counts its calls. */
export class CountingD1 extends InterceptedD1 {
  readonly counts: D1Counts;

  constructor(database: D1Database, counts: D1Counts) {
    super(database, (call, run) => counts.measure(call, run));
    this.counts = counts;
  }
}

/**
 * Counts the calls that reach `database`.
 *
 * @example
 * const s0 = countingD1(env.DB_0);
 * await s0.prepare('select 1').all();
 * s0.counts.calls; // 1
 */
export function countingD1(database: D1Database, counts = new D1Counts()): CountingD1 {
  return new CountingD1(database, counts);
}

/** Counts per shard, in `perShard`, and over all of them together, in `total`. */
export function countingShards(databases: Readonly<Record<string, D1Database>>): {
  shards: Record<string, D1Database>;
  total: D1Counts;
  perShard: Record<string, D1Counts>;
} {
  const total = new D1Counts();
  const shards: Record<string, D1Database> = {};
  const perShard: Record<string, D1Counts> = {};
  for (const [name, database] of Object.entries(databases)) {
    const shard = countingD1(database);
    shards[name] = countingD1(shard, total);
    perShard[name] = shard.counts;
  }
  return { shards, total, perShard };
}
