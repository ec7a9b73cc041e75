/** A database of the cluster, as the catalog knows it. */
export interface ShardInfo {
  name: string;
  /** Where the database is: a region code such as `weur`. */
  region?: string;
  /** Its share of the slots and of new keys, relative to the other shards' weights. */
  weight: number;
  /** `adding`: scatters include it, nothing is put there yet. `draining`: nothing new goes there. `retired`: empty. */
  state: 'adding' | 'active' | 'draining' | 'retired';
}

/** Consecutive slots of one shard, both ends included. */
export interface SlotRange {
  lo: number;
  hi: number;
  shard: string;
}

export interface KeyspaceMap {
  strategy: string;
  /** Every slot exactly once, in order. */
  ranges: SlotRange[];
}

/** A snapshot of the catalog: plain JSON, fit for one KV value. */
export interface ShardMap {
  /** Random, given at first contact. Two clusters never share one. */
  cluster: string;
  /** Grows by one with every change of the map: of two snapshots the higher one is the newer. */
  epoch: number;
  /** XOR of the digests of retired shards; what the digests of all shards of a scatter must add up to. */
  base: number;
  /** In the order in which they were registered. */
  shards: ShardInfo[];
  keyspaces: Record<string, KeyspaceMap>;
}

/** What a configuration says about the cluster. */
export interface OpenRequest {
  /** `weight` is 1 unless given, and lies between 0.001 and 100,000. */
  shards: { name: string; region?: string; weight?: number }[];
  keyspaces: { name: string; strategy: string }[];
}

/** Consecutive numbers, both ends included. */
export interface Block {
  from: number;
  to: number;
}

/**
 * The authority on what shards there are, which slots they own, and on every number that must not be given twice.
 *
 * All operations may be repeated after a lost answer: `open` changes nothing the second time, and `block` at worst leaves
 * a gap.
 */
export interface Catalog {
  /**
   * Creates the cluster on first contact, registers shards and keyspaces that are new, and gives the map.
   *
   * What the catalog knows already stays as it is: the strategy, region and weight of the first request that named it
   * hold, and a shard that is not in the request stays in the map. A new keyspace is spread over all active shards; a
   * new shard of an existing cluster is active and owns no slots.
   *
   * @example
   * const map = await catalog.open({
   *   shards: [{ name: 'db-east' }, { name: 'db-west', region: 'wnam', weight: 2 }],
   *   keyspaces: [{ name: 'default', strategy: 'hash' }],
   * });
   * @throws ConfigError for a request without shards, with a name twice, or with a weight out of range.
   */
  open(request: OpenRequest): Promise<ShardMap>;

  /** The map as it is now; undefined before first contact. */
  map(): Promise<ShardMap | undefined>;

  /**
   * The next `size` numbers of a counter (round-robin, an id sequence), all above `atLeast`. Counters begin at 1 and are
   * made when first asked for. Never gives a number twice; may leave gaps.
   *
   * @throws RangeError for a size that is not a whole number from 1.
   */
  block(counter: string, size: number, atLeast?: number): Promise<Block>;
}
