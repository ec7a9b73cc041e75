import { clusterApi } from '../cluster-api';
import { claimerFor, tablesOf } from '../execution/claiming';
import type { ReadyCluster } from '../execution/cluster';
import { demandOf, Executor } from '../execution/run';
import { rowsOf } from '../execution/shard-set';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import type { Attempt } from '../placement/attempt';
import { type KeyColumn, readTableList } from '../placement/claims';
import { CONFLICT } from '../placement/conflict';
import { hintName, hintPrefix } from '../placement/hint-store';
import { slotOf } from '../placement/slots';
import type { BoundStatement } from '../sql/bound';
import { quoteName } from '../sql/tokens';
import { checkShard, takesNoKeys } from './errors';
import { keysAfter, PAGE } from './key-pages';
import { namesWithPrefix } from './kv-pages';
import { findRecords, findRows, grouped, Lookout, type Whereabouts } from './lookout';

const keyspace = DEFAULT_KEYSPACE;

/** Where the keys of a cluster are, as its shards say: what CollegeDB has a KV record for. Keys are canonical. */
export class KeyRecords {
  constructor(
    readonly cluster: ReadyCluster,
    readonly kv: KVNamespace,
    readonly name: string,
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

  /** Where many keys live; those without a row and a record are left out. */
  async find(keys: readonly string[]): Promise<Map<string, Whereabouts>> {
    const { map } = await this.cluster.executor.cluster.resolver.refresh();
    if (map.keyspaces[keyspace]?.adopting) return (await this.lookout()).find(keys);
    const found = await this.cluster.executor.accepted([], async (attempt) => {
      const places = new Map<string, string>();
      for (const [home, own] of grouped(keys, (key) => attempt.homeOf(keyspace, slotOf(key))))
        await this.#askHome(attempt, home, own, places);
      return places;
    });
    const conflicts = [...found].flatMap(([key, at]) => (at === CONFLICT ? [key] : []));
    const holders = conflicts.length === 0 ? undefined : await (await this.lookout()).holders(conflicts);
    return new Map(
      [...found].map(([key, at]) => [key, { shards: holders?.get(key) ?? [at], isConflict: at === CONFLICT }]),
    );
  }

  /** To find keys without a change. */
  lookout(): Promise<Lookout> {
    return Lookout.open(this.cluster, (shard) => this.tables(shard));
  }

  /** Records where the keys are that databases came with. */
  async adopt(): Promise<void> {
    const routing = await this.cluster.executor.cluster.resolver.map();
    // Most often there is nothing to ask the catalog for.
    if (Object.values(routing.map.keyspaces).some(({ adopting }) => adopting)) await clusterApi(this.cluster).adopt();
  }

  async #askHome(attempt: Attempt, home: string, keys: readonly string[], found: Map<string, string>): Promise<void> {
    const { shards } = this.cluster.executor;
    const tables = await this.tables(home);
    for (let from = 0; from < keys.length; from += PAGE) {
      const page = keys.slice(from, from + PAGE);
      const statements = [...findRows(tables, page, home), findRecords(page)];
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
      throw takesNoKeys(shard);
    }
    const strategies = { ...cluster.strategies, of: () => () => shard };
    const executor = new Executor({ ...cluster, strategies }, shards, near, onMoved);
    const claim = claimerFor(executor, keyspace);
    const placed = await executor.accepted([], async (attempt) => (await claim?.(attempt, keyspace, keys)) ?? []);
    return new Map(placed.flatMap((one) => (one.shard === shard ? [] : [[one.key, one.shard] as const])));
  }

  /**
   * Keys without a row and a record live on a shard from now on. Those that do not live there are given back.
   *
   * @param trial Nothing is changed.
   */
  async settle(shard: string, keys: readonly string[], trial?: Lookout): Promise<Map<string, Whereabouts>> {
    const found = await (trial ?? this).find(keys);
    const kept = new Map([...found].filter(([, { shards, isConflict }]) => isConflict || shards[0] !== shard));
    const fresh = keys.filter((key) => !found.has(key));
    if (trial) {
      if (fresh.length > 0 && !trial.takesNewKeys(shard)) throw takesNoKeys(shard);
      return kept;
    }
    for (const [key, at] of await this.place(shard, fresh)) kept.set(key, { shards: [at], isConflict: false });
    return kept;
  }

  /** A key with rows elsewhere moves, with all of them. */
  async move(key: string, shard: string): Promise<void> {
    checkShard(shard, this.shards);
    // Nothing is moved before.
    await this.adopt();
    await clusterApi(this.cluster).reassign(key, shard, keyspace);
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
    for (let after: string | null = null; ; ) {
      const { results }: { results: { key: string }[] } = await d1
        .prepare(
          `select key from _shard_keys where keyspace = ?1 and at = ?2 and (?3 is null or key > ?3) order by key limit ${PAGE}`,
        )
        .bind(keyspace, shard, after)
        .all<{ key: string }>();
      yield* results.map(({ key }) => key);
      if (results.length < PAGE) return;
      after = results.at(-1)?.key ?? null;
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
  async tables(shard: string): Promise<KeyColumn[]> {
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
function countStatements(shard: string, tables: readonly KeyColumn[]): BoundStatement[] {
  const keysIn = ({ table, column }: KeyColumn) =>
    `select cast(${quoteName(column)} as text) from ${quoteName(table)} where ${quoteName(column)} is not null`;
  const unseen = (key: string, before: readonly KeyColumn[]) =>
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
