import { ConfigError } from '../errors';

/** Bounds of a {@link HintCache}. */
export interface HintCacheOptions {
  /** Entries in all, at least 2. Default 100,000: below 10 MB of a Worker's 128. */
  max?: number;
  /** Milliseconds after which an entry is not given any more. Default 300,000, five minutes. */
  maxAgeMs?: number;
  /** The time in milliseconds. Default `Date.now`. */
  now?: () => number;
}

/** Entries that are given up together. A map for each keyspace: one of joined strings would copy every key. */
interface Generation {
  readonly startedAt: number;
  readonly keyspaces: Map<string, Map<string, string>>;
  size: number;
}

/**
 * Remembers on which shard a key was found. Hints, not the truth: who uses one is told by the shard when it is stale.
 *
 * Two generations bound it in number and time, without a time stamp or a list node for each entry. New entries go to
 * the current one; when that holds half of `max`, or is half of `maxAgeMs` old, it becomes the previous one, in place
 * of the one before. Reading an entry does not move it forward, as that would let it outlive `maxAgeMs`.
 *
 * So an entry is given for at least half of `maxAgeMs`, unless `max / 2` newer ones push it out, and never for more
 * than the whole. It costs two references in a hash table that may be half empty, and the key's header: measured at 60
 * to 78 bytes, plus the key's own characters, as long as shard names are the same few string objects.
 *
 * @example
 * const hints = new HintCache();
 * hints.set('default', 'user-123', 'db-east');
 * hints.get('default', 'user-123');
 */
export class HintCache {
  readonly #half: number;
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  #current: Generation | undefined;
  #previous: Generation | undefined;

  /** @throws ConfigError for a `max` that is not a whole number from 2, or a `maxAgeMs` that is not above 0. */
  constructor({ max = 100_000, maxAgeMs = 300_000, now = Date.now }: HintCacheOptions = {}) {
    if (!Number.isSafeInteger(max) || max < 2) {
      throw new ConfigError(`The hint cache's max is ${max}.`, { remedy: 'Write a whole number from 2.' });
    }
    if (!(maxAgeMs > 0)) {
      throw new ConfigError(`The hint cache's maxAgeMs is ${maxAgeMs}.`, { remedy: 'Write a number above 0.' });
    }
    this.#half = Math.floor(max / 2);
    this.#maxAgeMs = maxAgeMs;
    this.#now = now;
  }

  get(keyspace: string, key: string): string | undefined {
    this.#expire(this.#now());
    return this.#current?.keyspaces.get(keyspace)?.get(key) ?? this.#previous?.keyspaces.get(keyspace)?.get(key);
  }

  set(keyspace: string, key: string, shard: string): void {
    const now = this.#now();
    this.#expire(now);
    // Before looking for room: a key that is written again takes none.
    this.delete(keyspace, key);
    const generation = this.#writable(now);
    let keys = generation.keyspaces.get(keyspace);
    if (!keys) {
      keys = new Map();
      generation.keyspaces.set(keyspace, keys);
    }
    keys.set(key, shard);
    generation.size++;
  }

  delete(keyspace: string, key: string): void {
    for (const generation of [this.#current, this.#previous]) {
      if (generation?.keyspaces.get(keyspace)?.delete(key)) generation.size--;
    }
  }

  clear(): void {
    this.#current = undefined;
    this.#previous = undefined;
  }

  /** Entries that are not too old. */
  get size(): number {
    this.#expire(this.#now());
    return (this.#current?.size ?? 0) + (this.#previous?.size ?? 0);
  }

  /** Drops generations whose first entry is too old. The previous one goes first: it began earlier. */
  #expire(now: number): void {
    if (this.#previous && now - this.#previous.startedAt >= this.#maxAgeMs) this.#previous = undefined;
    if (this.#current && now - this.#current.startedAt >= this.#maxAgeMs) this.#current = undefined;
  }

  /** The generation that takes an entry now. */
  #writable(now: number): Generation {
    const current = this.#current;
    if (current && current.size < this.#half && now - current.startedAt < this.#maxAgeMs / 2) return current;
    this.#previous = current;
    this.#current = { startedAt: now, keyspaces: new Map(), size: 0 };
    return this.#current;
  }
}
