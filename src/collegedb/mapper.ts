import { foldName } from '../sql/tokens';
import { activeOrNone } from './active';
import { CollegeDBError, checkShard } from './errors';
import type { KeyRecords } from './key-records';
import { hashOf, inParallel, isHash, KvRecords, type ShardMapping } from './kv-records';
import type { Whereabouts } from './lookout';

export interface MapperOptions {
  /** KV records are under the SHA-256 of their key. Default true. */
  readonly hashShardMappings?: boolean;
}

/** Maps some keys of a database to it, or says what that would do. */
export type TakeIn = (keys: readonly string[]) => Promise<TakenIn>;

export interface TakenIn {
  /** How many of the keys lead to the shard now. */
  readonly mapped: number;
  /** Those that do not. */
  readonly kept: ReadonlyMap<string, Whereabouts>;
}

/** The clusters of mappers that belong to one, whatever `initialize` has made. */
const bound = new WeakMap<KVShardMapper, KeyRecords>();

/** The mapper of a cluster. */
export function mapperOver(records: KeyRecords, options: MapperOptions): KVShardMapper {
  const mapper = new KVShardMapper(records.kv, options);
  bound.set(mapper, records);
  return mapper;
}

export const recordsOf = ({ mapper }: { readonly mapper: KVShardMapper }): KeyRecords =>
  bound.get(mapper) as KeyRecords;

/**
 * CollegeDB's class of this name. Where a cluster is initialized over the same KV namespace, it answers from the cluster's
 * shards, and changes where keys live there; no record is kept for each key. Otherwise it reads and writes CollegeDB's own
 * records in KV.
 *
 * @example
 * const mapper = new KVShardMapper(env.KV);
 * await mapper.setShardMapping('user-123', 'db-west');
 * (await mapper.getShardMapping('user-123'))?.shard; // 'db-west'
 */
export class KVShardMapper {
  readonly #records: KvRecords;

  constructor(kv: KVNamespace, options: MapperOptions = {}) {
    this.#records = new KvRecords(kv, options.hashShardMappings ?? true);
  }

  #cluster(): KeyRecords | undefined {
    const current = activeOrNone();
    return bound.get(this) ?? (current?.config.kv === this.#records.kv ? recordsOf(current) : undefined);
  }

  /** Where a key is; null when it has neither a row nor a record. In a cluster its times are 0. */
  async getShardMapping(primaryKey: string): Promise<ShardMapping | null> {
    const cluster = this.#cluster();
    if (!cluster) return this.#records.get(primaryKey);
    const shard = await cluster.locate(primaryKey);
    return shard === undefined ? null : { shard, createdAt: 0, updatedAt: 0 };
  }

  /** {@link KVShardMapper.getShardMapping} of many keys; null for a key that two databases came with. */
  async getShardMappings(primaryKeys: readonly string[]): Promise<Map<string, ShardMapping | null>> {
    const cluster = this.#cluster();
    const found = new Map<string, ShardMapping | null>(primaryKeys.map((key) => [key, null]));
    if (cluster) {
      for (const [key, { shards, isConflict }] of await cluster.find(primaryKeys)) {
        const [shard] = shards;
        if (shard !== undefined && !isConflict) found.set(key, { shard, createdAt: 0, updatedAt: 0 });
      }
    } else await inParallel(primaryKeys, async (key) => found.set(key, await this.#records.get(key)));
    return found;
  }

  /**
   * Decides where a key lives. In a cluster its rows, if there are any elsewhere, are moved there.
   *
   * @param additionalKeys Other names of the same thing, such as `email:ada@example.com`, for statements without its key.
   * @throws CollegeDBError for an unknown shard; what `$cluster.reassign` throws.
   */
  async setShardMapping(primaryKey: string, shard: string, additionalKeys: readonly string[] = []): Promise<void> {
    const cluster = this.#cluster();
    if (!cluster) return this.#records.set(primaryKey, shard, additionalKeys);
    const kept = await cluster.place(shard, [primaryKey, ...additionalKeys]);
    for (const key of kept.keys()) await cluster.move(key, shard);
  }

  /** @throws CollegeDBError `MAPPING_NOT_FOUND` for a key without a mapping; else as {@link KVShardMapper.setShardMapping}. */
  async updateShardMapping(primaryKey: string, newShard: string): Promise<void> {
    const cluster = this.#cluster();
    if (!cluster) {
      if (!(await this.#records.update(primaryKey, newShard))) throw notFound(primaryKey);
      return;
    }
    if ((await cluster.locate(primaryKey)) === undefined) throw notFound(primaryKey);
    await cluster.move(primaryKey, newShard);
  }

  /** Takes away the KV record, and what is cached. In a cluster the key stays where it is: its shards decide. */
  async deleteShardMapping(primaryKey: string): Promise<void> {
    await this.#records.delete(primaryKey);
    await this.#cluster()?.forget(primaryKey);
  }

  /** Names for a key that has a mapping. @throws CollegeDBError `MAPPING_NOT_FOUND` for one that has none. */
  async addLookupKeys(primaryKey: string, additionalKeys: readonly string[]): Promise<void> {
    const cluster = this.#cluster();
    if (!cluster) {
      if (!(await this.#records.addToGroup(primaryKey, additionalKeys))) throw notFound(primaryKey);
      return;
    }
    const shard = await cluster.locate(primaryKey);
    if (shard === undefined) throw notFound(primaryKey);
    for (const key of additionalKeys) await this.setShardMapping(key, shard);
  }

  /** The names of a key, hashed where records are. In a cluster, which keeps no groups, the key alone. */
  async getAllLookupKeys(primaryKey: string): Promise<string[]> {
    const cluster = this.#cluster();
    if (!cluster) {
      const names = await this.#records.groupOf(primaryKey);
      if (names) return [...names];
    } else if ((await cluster.locate(primaryKey)) !== undefined) return [primaryKey];
    throw notFound(primaryKey);
  }

  /** Every key that lives on a shard. Of hashed KV records there is none to tell; in a cluster all of its rows are read. */
  async getKeysForShard(shard: string): Promise<string[]> {
    const keys = new Set<string>();
    const cluster = this.#cluster();
    if (cluster) {
      for await (const key of cluster.keysOn(shard)) keys.add(key);
      return [...keys];
    }
    for await (const page of this.#records.all()) {
      for (const { name, originalKey, shard: at } of page) {
        const key = originalKey ?? (isHash(name) ? undefined : name);
        if (at === shard && key !== undefined) keys.add(key);
      }
    }
    return [...keys];
  }

  /** How many keys each shard has. In a cluster all of its keys are read. */
  async getShardKeyCounts(): Promise<Record<string, number>> {
    const cluster = this.#cluster();
    if (cluster) return cluster.counts();
    const counts: Record<string, number> = {};
    for await (const page of this.#records.all()) {
      for (const { shard } of page) counts[shard] = (counts[shard] ?? 0) + 1;
    }
    return counts;
  }

  /** Takes away all KV records of CollegeDB's, and what is cached. No row is touched, and in a cluster no key changes place. */
  async clearAllMappings(): Promise<void> {
    await this.#records.clear();
    await this.#cluster()?.forgetAll();
  }

  /** In a cluster, the shards of its configuration. */
  async getKnownShards(): Promise<string[]> {
    const cluster = this.#cluster();
    return cluster ? [...cluster.shards] : this.#records.knownShards();
  }

  /** In a cluster nothing: its configuration says what shards there are. */
  async addKnownShard(shard: string): Promise<void> {
    if (this.#cluster() || shard === '') return;
    const known = await this.#records.knownShards();
    if (!known.includes(shard)) await this.#records.setKnownShards([...known, shard]);
  }

  /** {@link KVShardMapper.setShardMapping} of many keys. */
  async setShardMappingsBatch(
    mappings: readonly { primaryKey: string; shard: string; additionalKeys?: readonly string[] }[],
    { concurrency = 25 }: { concurrency?: number } = {},
  ): Promise<void> {
    const cluster = this.#cluster();
    if (!cluster) {
      await inParallel(
        mappings,
        ({ primaryKey, shard, additionalKeys }) => this.#records.set(primaryKey, shard, additionalKeys),
        concurrency,
      );
      return;
    }
    const byShard = new Map<string, string[]>();
    for (const { primaryKey, shard, additionalKeys = [] } of mappings) {
      byShard.set(shard, [...(byShard.get(shard) ?? []), primaryKey, ...additionalKeys]);
    }
    for (const [shard, keys] of byShard) {
      const kept = await cluster.place(shard, keys);
      for (const key of kept.keys()) await cluster.move(key, shard);
    }
  }

  /**
   * To map the keys of a database to it. In a cluster what databases came with is recorded first; unlike the other functions it
   * moves nothing: keys that live elsewhere are told of.
   *
   * @throws CollegeDBError for an unknown shard; what first contact throws.
   */
  async takeIn(shard: string, { dryRun = false } = {}): Promise<TakeIn> {
    const cluster = this.#cluster();
    if (!cluster) {
      return async (keys) => {
        if (!dryRun) await this.setShardMappingsBatch(keys.map((primaryKey) => ({ primaryKey, shard })));
        return { mapped: keys.length, kept: new Map() };
      };
    }
    checkShard(shard, cluster.shards);
    const trial = dryRun ? await cluster.lookout() : undefined;
    if (!trial) await cluster.adopt();
    return async (keys) => {
      const kept = await cluster.settle(shard, keys, trial);
      return { mapped: keys.length - kept.size, kept };
    };
  }

  /** Whether a cluster has still to scan a database. Changes nothing. */
  async awaitsScan(shard: string): Promise<boolean> {
    return (await this.#cluster()?.lookout())?.scans.has(shard) ?? false;
  }

  /** What CollegeDB's records call a key. */
  hashKey(key: string): Promise<string> {
    return hashOf(key);
  }

  /** The column that a cluster's configuration gives a table as its shard key; null where it has none. */
  async keyColumnOf(shard: string, table: string): Promise<string | null | undefined> {
    const cluster = this.#cluster();
    if (!cluster?.shards.includes(shard)) return undefined;
    return (await cluster.tables(shard)).find((one) => foldName(one.table) === foldName(table))?.column ?? null;
  }

  /** Whose keys it maps. */
  get scope(): string {
    const cluster = this.#cluster();
    return cluster ? `cluster ${cluster.name}` : 'kv';
  }
}

const notFound = (key: string): CollegeDBError =>
  new CollegeDBError(`Nothing says where '${key}' lives: it has no row and no record.`, 'MAPPING_NOT_FOUND');
