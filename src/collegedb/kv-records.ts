import { MAX_BULK_KEYS } from '../placement/hint-store';
import { namesWithPrefix } from './kv-pages';

/** CollegeDB's record of where a key lives. */
export interface ShardMapping {
  readonly shard: string;
  /** Milliseconds of Unix time; 0 where only the shards know of the key. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** The key in plain text, where the record's name does not hide it. */
  readonly originalKey?: string;
}

/** A mapping of several keys at once, under the first of them. */
interface KeyGroup {
  readonly shard: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** As the names of records have them: hashed, or plain. */
  readonly keys: readonly string[];
}

const SINGLE = 'shard:';
const GROUP = 'multikey:';
const KNOWN = 'known_shards';

/** The SHA-256 of a key as CollegeDB names its records: 64 hexadecimal digits. */
export async function hashOf(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Whether the name of a record is a hash: by its looks. */
export const isHash = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

/** How many operations on KV are under way at a time: a Worker opens six connections at once. */
const CONCURRENCY = 6;

export async function inParallel<T>(items: readonly T[], each: (item: T) => Promise<unknown>, atOnce = CONCURRENCY) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await each(items[next++] as T);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}

/** A record as it is in KV: its name is the key, or the hash of it. */
export interface NamedMapping extends ShardMapping {
  readonly name: string;
}

/** CollegeDB's records in KV, in its own format. */
export class KvRecords {
  constructor(
    readonly kv: KVNamespace,
    readonly hashes: boolean,
  ) {}

  nameOf(key: string): Promise<string> {
    return this.hashes ? hashOf(key) : Promise.resolve(key);
  }

  async get(key: string): Promise<ShardMapping | null> {
    const name = await this.nameOf(key);
    const single = mappingOf(await this.#read(SINGLE + name));
    if (single) return single;
    const group = groupOf(await this.#read(GROUP + name));
    return group ? { shard: group.shard, createdAt: group.createdAt, updatedAt: group.updatedAt } : null;
  }

  async set(key: string, shard: string, others: readonly string[] = []): Promise<void> {
    const now = Date.now();
    if (others.length > 0) await this.#putGroup(key, { shard, createdAt: now, updatedAt: now, keys: [] }, others);
    await inParallel([key, ...others], (one) => this.#put(one, { shard, createdAt: now, updatedAt: now }));
  }

  /** False when there is no record. The first key of a group takes the others along. */
  async update(key: string, shard: string): Promise<boolean> {
    const found = await this.get(key);
    if (!found) return false;
    const name = await this.nameOf(key);
    const group = groupOf(await this.#read(GROUP + name));
    const updatedAt = Date.now();
    if (group) await this.kv.put(GROUP + name, JSON.stringify({ ...group, shard, updatedAt }));
    await inParallel([...new Set([name, ...(group?.keys ?? [])])], async (one) => {
      const mapping = mappingOf(await this.#read(SINGLE + one)) ?? found;
      await this.kv.put(SINGLE + one, JSON.stringify({ ...mapping, shard, updatedAt }));
    });
    return true;
  }

  async delete(key: string): Promise<void> {
    const name = await this.nameOf(key);
    const group = groupOf(await this.#read(GROUP + name));
    const names = new Set([name, ...(group?.keys ?? [])].map((one) => SINGLE + one));
    await inParallel([...names, GROUP + name], (one) => this.kv.delete(one));
  }

  /** False when there is no record of the key. */
  async addToGroup(key: string, others: readonly string[]): Promise<boolean> {
    const found = await this.get(key);
    if (!found) return false;
    const group = groupOf(await this.#read(GROUP + (await this.nameOf(key))));
    const { shard, createdAt } = found;
    const updatedAt = Date.now();
    await this.#putGroup(key, { shard, createdAt, updatedAt, keys: group?.keys ?? [] }, others);
    await inParallel(others, (one) => this.#put(one, { shard, createdAt, updatedAt }));
    return true;
  }

  /** The names of a key's group, or the key alone; undefined when there is no record. */
  async groupOf(key: string): Promise<readonly string[] | undefined> {
    const group = groupOf(await this.#read(GROUP + (await this.nameOf(key))));
    if (group) return group.keys;
    const found = await this.get(key);
    return found ? [found.originalKey ?? key] : undefined;
  }

  /** Every record, a page at a time. */
  async *all(): AsyncGenerator<NamedMapping[]> {
    for await (const names of namesWithPrefix(this.kv, SINGLE)) {
      const page: NamedMapping[] = [];
      for (let from = 0; from < names.length; from += MAX_BULK_KEYS) {
        const found = await this.kv.get(names.slice(from, from + MAX_BULK_KEYS), 'text');
        for (const [name, text] of found) {
          const mapping = mappingOf(parsed(text));
          if (mapping) page.push({ ...mapping, name: name.slice(SINGLE.length) });
        }
      }
      yield page;
    }
  }

  async clear(): Promise<void> {
    for (const prefix of [SINGLE, GROUP]) {
      for await (const names of namesWithPrefix(this.kv, prefix)) {
        await inParallel(names, (name) => this.kv.delete(name));
      }
    }
  }

  async knownShards(): Promise<string[]> {
    const list = await this.#read(KNOWN);
    return Array.isArray(list) ? list.filter((name) => typeof name === 'string') : [];
  }

  async setKnownShards(shards: readonly string[]): Promise<void> {
    if (shards.length > 0) await this.kv.put(KNOWN, JSON.stringify([...new Set(shards)]));
  }

  async #read(name: string): Promise<unknown> {
    return parsed(await this.kv.get(name, 'text'));
  }

  async #put(key: string, mapping: ShardMapping): Promise<void> {
    const record = this.hashes ? mapping : { ...mapping, originalKey: key };
    await this.kv.put(SINGLE + (await this.nameOf(key)), JSON.stringify(record));
  }

  async #putGroup(key: string, group: KeyGroup, others: readonly string[]): Promise<void> {
    const names = await Promise.all([key, ...others].map((one) => this.nameOf(one)));
    const keys = [...new Set([...names.slice(0, 1), ...group.keys, ...names.slice(1)])];
    await this.kv.put(GROUP + names[0], JSON.stringify({ ...group, keys }));
  }
}

/** Anybody may write to a KV namespace: what is no JSON is no record. */
function parsed(text: string | null): unknown {
  try {
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function mappingOf(value: unknown): ShardMapping | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { shard, createdAt, updatedAt, originalKey } = value as Partial<Record<keyof ShardMapping, unknown>>;
  if (typeof shard !== 'string') return undefined;
  return {
    shard,
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
    ...(typeof originalKey === 'string' ? { originalKey } : {}),
  };
}

function groupOf(value: unknown): KeyGroup | undefined {
  const mapping = mappingOf(value);
  if (!mapping) return undefined;
  const { keys } = value as { keys?: unknown };
  const list = Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [];
  return { ...mapping, keys: list };
}

const timeOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
