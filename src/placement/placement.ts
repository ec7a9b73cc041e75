import type { PlacedKey } from './guard';

/**
 * Says where keys live, as far as it is known before their shards are asked. Routing knows nothing of how it is found, so
 * that a map, hints and a catalog can answer.
 */
export interface Placement {
  /** Every shard that may hold rows, in a fixed order. */
  readonly shards: readonly string[];
  /**
   * The same, each with a binding here.
   *
   * @throws MissingShardError when one has none: an answer without its rows would be a wrong one.
   */
  everyShard(): readonly string[];
  /** Every shard that is not retired, for what has to be the same on all: also those that own nothing. */
  wholeCluster(): readonly string[];
  /** The owners of canonical keys. Synchronous where the answer is at hand: this is the hot path. */
  place(keyspace: string, keys: Iterable<string>): PlacedKey[] | Promise<PlacedKey[]>;
  /** The same for keys that may be new and are about to be written: a strategy chooses where new ones go. */
  placeNew(keyspace: string, keys: Iterable<string>): PlacedKey[] | Promise<PlacedKey[]>;
}
