import type { ShardMap } from '../catalog/catalog';
import { MissingShardError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { prepare } from '../execution/shard-set';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import { hasRows, type KeyColumn } from '../placement/claims';
import { CONFLICT } from '../placement/conflict';
import { homeOf } from '../placement/home';
import { slotOf } from '../placement/slots';
import type { BoundStatement } from '../sql/bound';
import { PAGE } from './key-pages';

const keyspace = DEFAULT_KEYSPACE;

/** Where a key lives. */
export interface Whereabouts {
  /** One; or all that have rows of it, in a conflict. */
  readonly shards: readonly string[];
  /** Two databases came with rows of it: no statement with it runs. */
  readonly isConflict: boolean;
}

interface Found {
  readonly n: number;
  readonly at: string;
}

/** Finds where keys live, or would live once the databases are part of the cluster, without a change: makes no cluster. */
export class Lookout {
  readonly #columns = new Map<string, readonly KeyColumn[]>();

  private constructor(
    readonly cluster: ReadyCluster,
    readonly columnsOf: (shard: string) => Promise<readonly KeyColumn[]>,
    /** Undefined where there is no cluster yet. */
    readonly map: ShardMap | undefined,
    /** Databases with rows that are to be scanned. */
    readonly scans: ReadonlySet<string>,
    /** The same, and the one that gets all slots. */
    readonly arriving: readonly string[],
    readonly takesNewKeys: (shard: string) => boolean,
  ) {}

  /** @throws What first contact would throw. */
  static async open(
    cluster: ReadyCluster,
    columnsOf: (shard: string) => Promise<readonly KeyColumn[]>,
  ): Promise<Lookout> {
    const { view, opens } = await cluster.executor.cluster.resolver.preview();
    const known = view?.map.keyspaces[keyspace];
    const asked = opens?.keyspaces.find(({ name }) => name === keyspace);
    const scans = new Set([...(known?.adopting ?? []).map(({ shard }) => shard), ...(asked?.adopts ?? [])]);
    const arriving = [...scans, ...(asked?.owner === undefined ? [] : [asked.owner])];
    return new Lookout(cluster, columnsOf, known && view?.map, scans, arriving, (shard) => {
      const state = view?.map.shards.find(({ name }) => name === shard)?.state;
      if (state !== undefined) return state === 'active';
      const awaitsReference = view
        ? opens?.referenceTables
        : opens?.shards.find(({ name }) => name === shard)?.lacksReference;
      return !awaitsReference;
    });
  }

  /** Keys that nobody has are left out. */
  async find(keys: readonly string[]): Promise<Map<string, Whereabouts>> {
    const found = new Map<string, Whereabouts>();
    for (let from = 0; from < keys.length; from += PAGE) await this.#findPage(keys.slice(from, from + PAGE), found);
    return found;
  }

  async #findPage(keys: readonly string[], found: Map<string, Whereabouts>): Promise<void> {
    const places = new Map<string, Set<string>>();
    const add = (key: string, shard: string) => places.set(key, (places.get(key) ?? new Set()).add(shard));
    const { map } = this;
    if (map) {
      for (const [home, own] of grouped(keys, (key) => homeOf(map, keyspace, slotOf(key)) as string))
        for (const [key, at] of await this.#atHome(home, own)) add(key, at);
    }
    for (const shard of this.arriving) for (const key of await this.#withRows(shard, keys)) add(key, shard);
    const conflicts: string[] = [];
    for (const [key, shards] of places) {
      if (shards.size > 1 || shards.has(CONFLICT)) conflicts.push(key);
      else found.set(key, { shards: [...shards], isConflict: false });
    }
    for (const [key, shards] of await this.holders(conflicts)) found.set(key, { shards, isConflict: true });
  }

  /** All databases that have rows of keys. */
  async holders(keys: readonly string[]): Promise<Map<string, string[]>> {
    const holders = new Map<string, string[]>(keys.map((key) => [key, []]));
    if (keys.length === 0) return holders;
    for (const shard of this.cluster.databases.keys())
      for (const key of await this.#withRows(shard, keys)) holders.get(key)?.push(shard);
    return holders;
  }

  async #atHome(home: string, keys: readonly string[]): Promise<Map<string, string>> {
    const found = new Map((await this.#withRows(home, keys)).map((key) => [key, home]));
    const records = await this.#ask(home, [findRecords(keys)]).catch((error: unknown) => {
      // The database has not been told yet that it is part of the cluster.
      if (String(error).includes('no such table')) return [];
      throw error;
    });
    for (const { n, at } of records) found.set(keys[n] as string, at);
    return found;
  }

  async #withRows(shard: string, keys: readonly string[]): Promise<string[]> {
    if (!this.cluster.databases.has(shard)) throw new MissingShardError(shard);
    const columns = this.#columns.get(shard) ?? (await this.columnsOf(shard));
    this.#columns.set(shard, columns);
    const rows = await this.#ask(shard, findRows(columns, keys, shard));
    return [...new Set(rows.map(({ n }) => keys[n] as string))];
  }

  async #ask(shard: string, statements: readonly BoundStatement[]): Promise<Found[]> {
    if (statements.length === 0) return [];
    const results = await this.cluster.executor.shards.on(shard, '', { tables: [], write: false }, (client) =>
      client.batch<Found>(statements.map((one) => prepare(client, one))),
    );
    return results.flatMap((one) => one.results);
  }
}

export function grouped(keys: readonly string[], by: (key: string) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const key of keys) {
    const group = groups.get(by(key));
    if (group) group.push(key);
    else groups.set(by(key), [key]);
  }
  return groups;
}

/** Which of some keys have rows on a shard. */
export const findRows = (columns: readonly KeyColumn[], keys: readonly string[], shard: string): BoundStatement[] =>
  columns.map((column) => ({
    sql: `select j.key as n, ?2 as at from json_each(?1) j where ${hasRows(column, 'j.value', keys.length)}`,
    params: [JSON.stringify(keys), shard],
  }));

/** What the home of keys has recorded of them: it says more than a row. */
export const findRecords = (keys: readonly string[]): BoundStatement => ({
  sql: 'select j.key as n, t.at from json_each(?1) j join _shard_keys t on t.keyspace = ?2 and t.key = j.value',
  params: [JSON.stringify(keys), keyspace],
});
