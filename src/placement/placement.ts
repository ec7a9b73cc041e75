/**
 * Says where keys live. Planning and execution ask it for an owner and know nothing of how it is found, so that a fixed
 * map, a catalog, or a cache over one can answer.
 */
export interface Placement {
  /** Every shard that may hold rows, in a fixed order. */
  readonly shards: readonly string[];
  /** The shard that owns a canonical key. Synchronous where the answer is at hand: this is the hot path. */
  ownerOf(keyspace: string, key: string): string | Promise<string>;
  /** The share of all slots that a shard owns, from 0 to 1. */
  shareOf(shard: string): number;
}
