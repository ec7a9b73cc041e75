import { claimerFor, tablesOf } from '../execution/claiming';
import type { ReadyCluster } from '../execution/cluster';
import { demandOf, Executor } from '../execution/run';
import { rowsOf } from '../execution/shard-set';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import { ClusterMoves } from '../moves/cluster-moves';
import type { Attempt } from '../placement/attempt';
import { readTableList } from '../placement/claims';
import { hintName, hintPrefix } from '../placement/hint-store';
import { slotOf } from '../placement/slots';
import type { BoundStatement } from '../sql/bound';
import { quoteName } from '../sql/tokens';
import { findRecords, findRows, grouped, locateWithoutChange } from './dry-run';
import { CollegeDBError, checkShard } from './errors';
import { keysAfter, PAGE } from './key-pages';
import { namesWithPrefix } from './kv-pages';

/** A table of the keyspace, with its shard key. */
export interface KeyedTable {
  readonly table: string;
  readonly column: string;
}

const keyspace = DEFAULT_KEYSPACE;

/** Where the keys of a cluster are, as its shards say: what CollegeDB has a KV record for. Keys are canonical. */
export class KeyRecords {
  constructor(
    readonly cluster: ReadyCluster,
    readonly kv: KVNamespace,
    readonly name: string,
    readonly weights: Readonly<Record<string, number | undefined>>,
  ) {}

  get shards(): readonly string[] {
    return [...this.cluster.databases.keys()];
  }

  /** The shard of a key; undefined when it has neither a row nor a record. */
  locate(key: string): Promise<string | undefined> {
    const { executor } = this.cluster;
    return executor.accepted([], async (attempt) => {
      const [placed] = await attempt.place(keyspace, [key]);
      if (!placed) return undefined;
      const tables = await this.tables(placed.shard);
      const statements = tables.map(({ table, column }) => ({
        sql: `select 1 from ${quoteName(table)} where ${quoteName(column)} = ?1 limit 1`,
        params: [key],
      }));
      const demand = demandOf(attempt, placed.shard, [placed], false);
      const { here, results } = await executor.shards.guarded(demand, statements, { tables: [], write: false });
      const isKnown = placed.known !== undefined || here !== null || results.some((one) => one.results.length > 0);
      return isKnown ? placed.shard : undefined;
    });
  }

  /**
   * The shards of many keys, by the word of their homes; those without a record, and without a row on their home, are
   * left out. Rows elsewhere that nobody has placed are not looked for.
   */
  async locateAll(keys: readonly string[]): Promise<Map<string, string>> {
    if (keys.length === 0) return new Map();
    await this.cluster.executor.cluster.resolver.refresh();
    return this.cluster.executor.accepted([], async (attempt) => {
      const found = new Map<string, string>();
      for (const [home, own] of grouped(keys, (key) => attempt.homeOf(keyspace, slotOf(key))))
        await this.#askHome(attempt, home, own, found);
      return found;
    });
  }

  async #askHome(attempt: Attempt, home: string, keys: readonly string[], found: Map<string, string>): Promise<void> {
    const { shards } = this.cluster.executor;
    const tables = await this.tables(home);
    for (let from = 0; from < keys.length; from += PAGE) {
      const page = keys.slice(from, from + PAGE);
      const list = JSON.stringify(page);
      const statements = [...findRows(tables, list, home), findRecords(list)];
      const demand = demandOf(attempt, home, [], false);
      const { results } = await shards.guarded(demand, statements, { tables: [], write: false });
      for (const { n, at } of results.flatMap((one) => one.results as { n: number; at: string }[])) {
        found.set(page[n] as string, at);
      }
    }
  }

  /**
   * Records that keys live on a shard. A key that has a record, or rows on its home, keeps its place: those are given back,
   * with their shards.
   *
   * @throws CollegeDBError for an unknown shard, and one that takes no new keys.
   */
  async place(shard: string, keys: readonly string[]): Promise<Map<string, string>> {
    checkShard(shard, this.shards);
    if (keys.length === 0) return new Map();
    await this.#allowRecords();
    const { cluster, shards, near, onMoved } = this.cluster.executor;
    if (!(await cluster.resolver.map()).takesNewKeys.some(({ name }) => name === shard)) {
      throw new CollegeDBError(
        `${shard} takes no new keys: it is being added or emptied. db.$cluster.shards() tells; db.$cluster.addShard('${shard}') adds it.`,
        'SHARD_UNAVAILABLE',
      );
    }
    const strategies = { ...cluster.strategies, of: () => () => shard };
    const executor = new Executor({ ...cluster, strategies }, shards, near, onMoved);
    const claim = claimerFor(executor, keyspace);
    const placed = await executor.accepted([], async (attempt) => (await claim?.(attempt, keyspace, keys)) ?? []);
    return new Map(placed.flatMap((one) => (one.shard === shard ? [] : [[one.key, one.shard] as const])));
  }

  /** {@link KeyRecords.place}, without records for keys that have rows there and live there by their slot. */
  async adopt(shard: string, keys: readonly string[]): Promise<Map<string, string>> {
    checkShard(shard, this.shards);
    const routing = await this.cluster.executor.cluster.resolver.refresh();
    const own = keys.filter((key) => routing.homeOf(keyspace, slotOf(key)) === shard);
    const located = await this.locateAll(own);
    const kept = [...located].filter(([, at]) => at !== shard);
    return new Map([
      ...kept,
      ...(await this.place(
        shard,
        keys.filter((key) => !located.has(key)),
      )),
    ]);
  }

  /** What {@link KeyRecords.place} would give back. Writes nothing. */
  async wouldKeep(shard: string, keys: readonly string[]): Promise<Map<string, string>> {
    checkShard(shard, this.shards);
    const found = await locateWithoutChange(this.cluster, this.weights, (home) => this.tables(home), keys);
    return new Map([...found].filter(([, at]) => at !== shard));
  }

  /** A key with rows elsewhere moves, with all of them. */
  async move(key: string, shard: string): Promise<void> {
    checkShard(shard, this.shards);
    await new ClusterMoves(this.cluster).reassign(key, shard, keyspace);
  }

  /** Forgets where a key was last seen. Its shards know. */
  async forget(key: string): Promise<void> {
    this.cluster.executor.cluster.resolver.state.hints.delete(keyspace, key);
    await this.kv.delete(hintName(this.name, keyspace, key));
  }

  /** Forgets where any key was last seen. */
  async forgetAll(): Promise<void> {
    this.cluster.executor.cluster.resolver.state.hints.clear();
    for await (const names of namesWithPrefix(this.kv, hintPrefix(this.name))) {
      await Promise.all(names.map((name) => this.kv.delete(name)));
    }
  }

  /** Every key with a row on a shard, or a record that it lives there; a key of several tables comes more than once. */
  async *keysOn(shard: string): AsyncGenerator<string> {
    checkShard(shard, this.shards);
    const d1 = this.cluster.databases.get(shard) as D1Database;
    for (const { table, column } of await this.tables(shard)) {
      for await (const page of keysAfter(d1, table, column)) yield* page;
    }
    for (let after = ''; ; ) {
      const { results } = await d1
        .prepare(`select key from _shard_keys where keyspace = ?1 and at = ?2 and key > ?3 order by key limit ${PAGE}`)
        .bind(keyspace, shard, after)
        .all<{ key: string }>();
      yield* results.map(({ key }) => key);
      if (results.length < PAGE) return;
      after = results.at(-1)?.key ?? '';
    }
  }

  /** How many keys each shard has, rows or records. Reads every key once. */
  async counts(): Promise<Record<string, number>> {
    const { executor } = this.cluster;
    const counted = await executor.accepted([], (attempt) =>
      executor.shards.forEach(attempt.everyShard(), async (shard) => {
        const statements = countStatements(shard, await this.tables(shard));
        const demand = demandOf(attempt, shard, [], false);
        const { results } = await executor.shards.guarded(demand, statements, { tables: [], write: false });
        return [shard, results.reduce((sum, one) => sum + Number(rowsOf(one).rows[0]?.[0]), 0)] as const;
      }),
    );
    return Object.fromEntries(counted);
  }

  /** The tables of a database that belong to the keyspace. */
  async tables(shard: string): Promise<KeyedTable[]> {
    const { executor } = this.cluster;
    const purpose = { tables: [], write: false };
    const list = await executor.shards.on(shard, readTableList.sql, purpose, (client) =>
      client.prepare(readTableList.sql).first<{ tables: string | null }>(),
    );
    const tables = await tablesOf(executor, shard, list?.tables?.split('\n') ?? []);
    return tables.flatMap(({ name, placement }) =>
      placement.kind === 'sharded' && placement.keyspace === keyspace
        ? [{ table: name, column: placement.key.name }]
        : [],
    );
  }

  /** With `hash` no key has a record until one is moved; the catalog has to know that now some do. */
  async #allowRecords(): Promise<void> {
    const { cluster } = this.cluster.executor;
    const { resolver, strategies } = cluster;
    if ((await resolver.map()).isDirectory(keyspace)) return;
    const { map } = await resolver.refresh();
    if (map.keyspaces[keyspace]?.directory) return;
    const shards = map.shards.map(({ name }) => ({ name }));
    for (const strategy of ['custom', strategies.nameOf(keyspace)]) {
      await resolver.catalog.open({ shards, keyspaces: [{ name: keyspace, strategy }] });
    }
    await resolver.refresh();
  }
}

/** One count for each table, of the keys that no table before it has; and one of the records without a row. */
function countStatements(shard: string, tables: readonly KeyedTable[]): BoundStatement[] {
  const keysIn = ({ table, column }: KeyedTable) =>
    `select cast(${quoteName(column)} as text) from ${quoteName(table)} where ${quoteName(column)} is not null`;
  const unseen = (key: string, before: readonly KeyedTable[]) =>
    before.map((table) => ` and ${key} not in (${keysIn(table)})`).join('');
  return [
    ...tables.map((one, i) => {
      const key = `cast(${quoteName(one.column)} as text)`;
      const where = `${quoteName(one.column)} is not null${unseen(key, tables.slice(0, i))}`;
      return { sql: `select count(distinct ${key}) as n from ${quoteName(one.table)} where ${where}`, params: [] };
    }),
    {
      sql: `select count(*) as n from _shard_keys where keyspace = ?1 and at = ?2${unseen('key', tables)}`,
      params: [keyspace, shard],
    },
  ];
}
