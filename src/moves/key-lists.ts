import type { Cargo } from './carry';
import type { MoveIo } from './io';
import { type NotedRange, noteKeys } from './scan';

/** A list is made sure of again when it was looked at so long ago: long before it expires on the shard. */
const FRESH_MS = 120_000;

/**
 * The lists of keys that this mover has made or seen of late: most moves of a job need no look at theirs. Only a saving: FREEZE
 * looks in its own batch, and raises UNNOTED where a list was lost.
 */
export class KeyLists {
  #seen: { readonly range: NotedRange; readonly at: number } | undefined;

  constructor(readonly io: MoveIo) {}

  /** @returns False when the shard does not own all of the slots. */
  async make(range: NotedRange, cargo: Cargo): Promise<boolean> {
    const at = Date.now();
    if (this.#seen && at - this.#seen.at < FRESH_MS && covers(this.#seen.range, range)) return true;
    const isOwned = await noteKeys(this.io, range, cargo);
    this.#seen = isOwned ? { range, at } : undefined;
    return isOwned;
  }

  forget(): void {
    this.#seen = undefined;
  }
}

const covers = (one: NotedRange, other: NotedRange): boolean =>
  one.shard === other.shard && one.keyspace === other.keyspace && one.lo <= other.lo && one.hi >= other.hi;
