import type { Placement } from './placement';
import { evenRanges, SLOTS, slotOf } from './slots';

/**
 * Spreads the slots over a fixed list of shards in equal ranges: the slot decides, nothing is looked up.
 *
 * @example
 * new HashPlacement(['db-east', 'db-west']).ownerOf('default', 'user-123');
 */
export class HashPlacement implements Placement {
  /** The first slot of each shard. */
  readonly #starts: readonly number[];

  constructor(readonly shards: readonly string[]) {
    this.#starts = evenRanges(shards.length);
  }

  ownerOf(_keyspace: string, key: string): string {
    const slot = slotOf(key);
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] as number) <= slot) low = middle;
      else high = middle - 1;
    }
    return this.shards[low] as string;
  }

  shareOf(shard: string): number {
    const at = this.shards.indexOf(shard);
    const start = this.#starts[at];
    return start === undefined ? 0 : ((this.#starts[at + 1] ?? SLOTS) - start) / SLOTS;
  }
}
