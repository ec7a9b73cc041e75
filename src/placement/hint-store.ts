import type { ShardMap } from '../catalog/catalog';

/** What is asked of a KV namespace. */
export type HintNamespace = Pick<KVNamespace, 'get' | 'put'>;

/** As far as it is used: anybody may write to a KV namespace. */
function isShardMap(value: unknown): value is ShardMap {
  const map = value as Partial<ShardMap> | null | undefined;
  if (!map || typeof map.cluster !== 'string' || !Number.isSafeInteger(map.epoch)) return false;
  if (!Number.isSafeInteger(map.base) || !Array.isArray(map.shards) || typeof map.keyspaces !== 'object') return false;
  return (
    map.shards.every((shard) => typeof shard?.name === 'string') &&
    Object.values(map.keyspaces ?? {}).every((keyspace) => Array.isArray(keyspace?.ranges))
  );
}

/** Told of every operation, for the statistics. */
export interface HintStoreListener {
  kvRead(): void;
  kvWrite(): void;
  kvFailure(): void;
}

/** A KV key has at most 512 bytes: https://developers.cloudflare.com/kv/platform/limits/ */
const MAX_KEY_BYTES = 512;
/** The most keys of one bulk read, which counts as one operation. */
export const MAX_BULK_KEYS = 100;
const HINT_SECONDS = 24 * 60 * 60;

/** What the names of a cluster's hints begin with. */
export const hintPrefix = (cluster: string): string => `sharded-drizzle:${cluster}:key:`;

export const hintName = (cluster: string, keyspace: string, key: string): string =>
  hintPrefix(cluster) + JSON.stringify([keyspace, key]);

/**
 * The shard map and hints `key → shard` in KV. Whatever comes from here may be old, missing or wrong, and KV may fail: then
 * it costs a round trip more, never a row.
 */
export class HintStore {
  constructor(
    readonly namespace: HintNamespace,
    /** Clusters that share a namespace have different ones. */
    readonly name: string,
    readonly listener: HintStoreListener,
  ) {}

  /** Undefined when there is none, or KV does not answer with one. */
  async readMap(): Promise<ShardMap | undefined> {
    const found = await this.#read(() => this.namespace.get<unknown>(this.#mapKey, 'json'));
    return isShardMap(found) ? found : undefined;
  }

  writeMap(map: ShardMap): Promise<void> {
    return this.#write(() => this.namespace.put(this.#mapKey, JSON.stringify(map)));
  }

  /** The shards of keys, for those that have a hint. At most {@link MAX_BULK_KEYS}. */
  async read(keyspace: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const names = new Map(keys.map((key) => [this.#keyOf(keyspace, key), key]));
    names.delete(undefined);
    if (names.size === 0) return new Map();
    const found = await this.#read(() => this.namespace.get([...names.keys()] as string[], 'text'));
    const hints = new Map<string, string>();
    for (const [name, shard] of found ?? []) {
      const key = names.get(name);
      if (key !== undefined && shard !== null) hints.set(key, shard);
    }
    return hints;
  }

  write(keyspace: string, key: string, shard: string): Promise<void> {
    const name = this.#keyOf(keyspace, key);
    if (name === undefined) return Promise.resolve();
    return this.#write(() => this.namespace.put(name, shard, { expirationTtl: HINT_SECONDS }));
  }

  get #mapKey(): string {
    return `sharded-drizzle:${this.name}:map`;
  }

  #keyOf(keyspace: string, key: string): string | undefined {
    const name = hintName(this.name, keyspace, key);
    return new TextEncoder().encode(name).length > MAX_KEY_BYTES ? undefined : name;
  }

  async #read<T>(run: () => Promise<T>): Promise<T | undefined> {
    this.listener.kvRead();
    try {
      return await run();
    } catch {
      this.listener.kvFailure();
      return undefined;
    }
  }

  async #write(run: () => Promise<void>): Promise<void> {
    this.listener.kvWrite();
    try {
      await run();
    } catch {
      this.listener.kvFailure();
    }
  }
}
