import type { D1Call } from './intercepted-d1';

/** One round trip to a shard. */
export interface ShardCall<TShard extends string = string> extends D1Call {
  readonly shard: TShard;
}

/**
 * The round trips to the shards, also those that failed. What `testCluster` and `reset` do is not among them.
 *
 * @example
 * cluster.calls.clear();
 * await db.select().from(users).where(eq(users.id, 'user-1'));
 * expect(cluster.calls.shards).toHaveLength(1); // one shard was asked
 * expect(cluster.calls.total).toBe(1); // in one round trip
 */
export class Calls<TShard extends string = string> {
  /** Every round trip in the order it was begun. */
  readonly log: ShardCall<TShard>[] = [];

  get total(): number {
    return this.log.length;
  }

  /** The shards that were asked, each once, by name. */
  get shards(): TShard[] {
    return [...new Set(this.log.map(({ shard }) => shard))].sort();
  }

  /** The round trips to one shard. */
  of(shard: TShard): ShardCall<TShard>[] {
    return this.log.filter((call) => call.shard === shard);
  }

  clear(): void {
    this.log.length = 0;
  }
}
