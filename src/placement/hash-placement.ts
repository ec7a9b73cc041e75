import type { Placement } from './placement';
import { evenRanges, SLOTS, slotOf } from './slots';

/**
 * Spreads the slots over a fixed list of shards in equal ranges: the slot decides, nothing is looked up.
 *
 * @example
 * new HashPlacement(['db-east', 'db-west']).ownerOf('default', 'user-123');
 */
export class HashPlacement implements Placement {
  readonly #owners: readonly string[];

  constructor(readonly shards: readonly string[]) {
    const starts = evenRanges(shards.length);
    const owners: string[] = [];
    for (const [i, shard] of shards.entries()) {
      const end = starts[i + 1] ?? SLOTS;
      while (owners.length < end) owners.push(shard);
    }
    this.#owners = owners;
  }

  ownerOf(_keyspace: string, key: string): string {
    return this.#owners[slotOf(key)] as string;
  }
}
