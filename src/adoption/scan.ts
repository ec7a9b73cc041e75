import type { ShardMap } from '../catalog/catalog';
import { jittered, pause } from '../execution/retry';
import type { MoveIo } from '../moves/io';
import { type KeyTable, readTables } from '../moves/key-tables';
import type { MoveSpec } from '../moves/spec';
import { slotOf } from '../placement/slots';
import { bound, name, sql } from '../sql/tag';
import { type AdoptionIo, adoptKeys, byHome, readKeyTables } from './adopt-keys';
import { type FoundKey, forgetMemoStatements, type KeyTables, scannedStatements } from './statements';

const MEMOS_PER_BATCH = 5000;
/** How often keys whose slots are being moved are tried again. */
const TRIES = 200;

/** Where a scan is: a table by its place in order of name, and the last key, or row, of it that was looked at. */
export interface ScanPlace {
  /** The tables, by name: with others the scan begins anew, as this one may stand at a table that was not scanned. */
  readonly tables?: readonly string[];
  readonly table: number;
  readonly after: string | null;
}

export interface ScannedPage {
  /** Undefined when all tables were scanned. */
  readonly next: ScanPlace | undefined;
  readonly rows: number;
}

/** Lists the keys of a keyspace that one database came with, page by page, and records on their homes where they live. */
export class Scan {
  readonly #tables = new Map<string, KeyTables>();
  #carried: readonly KeyTable[] | undefined;
  readonly #io: AdoptionIo;

  constructor(
    readonly io: MoveIo,
    readonly spec: MoveSpec,
    readonly keyspace: string,
    readonly source: string,
    /** Rows that are looked at together. */
    readonly pageSize: number,
  ) {
    this.#io = {
      cluster: io.cluster,
      catalog: io.catalog,
      run: io.run,
      tablesOf: (shard, _, again) => this.#tablesOf(shard, again),
    };
  }

  /** One page. May be repeated, also by several at once. */
  async page(place: ScanPlace): Promise<ScannedPage> {
    this.#carried ??= await this.#keyed(this.source);
    const tables = this.#carried.map((one) => one.name);
    const isSame = place.tables === undefined || place.tables.join('\n') === tables.join('\n');
    const { table, after } = isSame ? place : { table: 0, after: null };
    const carried = this.#carried[table];
    if (!carried) return { next: undefined, rows: 0 };
    const { keys, last, rows } = await this.#read(carried, after);
    await this.#adopt(keys.map((key) => ({ key, slot: slotOf(key) })));
    const isThrough = last === null || rows < this.pageSize;
    const next = isThrough ? { tables, table: table + 1, after: null } : { tables, table, after: last };
    return { next, rows };
  }

  /** Every key was found: from here on those without a record live by their slot. */
  async end(): Promise<void> {
    const { io, keyspace, source } = this;
    const map = await this.#map();
    await onEach(io, map, (at) => scannedStatements(at, keyspace, source));
    const others = (map.keyspaces[keyspace]?.adopting ?? []).filter(({ shard }) => shard !== source);
    if (others.length === 0) await this.#forgetMemos(map);
    const { map: after } = await io.catalog.endAdoption(keyspace, source);
    // Also those that joined meanwhile.
    await onEach(io, after, (at) => scannedStatements(at, keyspace, source));
  }

  async #forgetMemos(map: ShardMap): Promise<void> {
    for (const { name: shard, state } of map.shards) {
      if (state === 'retired') continue;
      for (let after: string | null = null; ; ) {
        const at = { cluster: this.io.cluster, shard };
        const results = await this.io.run(shard, forgetMemoStatements(at, this.keyspace, after, MEMOS_PER_BATCH));
        const last = results[1]?.[0]?.last;
        if (last === undefined) break;
        after = String(last);
      }
    }
  }

  async #map(): Promise<ShardMap> {
    const view = await this.io.catalog.map();
    if (!view) throw new Error('There is no cluster yet.');
    return view.map;
  }

  /** The next keys of a table, without those that are recorded already. */
  async #read(
    { name: table, key, isIndexed, rowid }: KeyTable,
    after: string | null,
  ): Promise<{ keys: string[]; last: string | null; rows: number }> {
    const column = name(key);
    // Without an index, keys in order would mean to sort the table for each page: rows are in order anyway.
    const byRow = !isIndexed && rowid !== undefined;
    const order = byRow ? name(rowid) : column;
    const beyond = after === null ? sql`true` : sql`${order} > ${after}`;
    const page = byRow
      ? sql`select ${column} as k, ${order} as o from ${name(table)} where ${beyond} order by ${order} limit ${this.pageSize}`
      : sql`select distinct ${column} as k, ${column} as o from ${name(table)} where ${beyond} and ${column} is not null
          order by ${column} limit ${this.pageSize}`;
    const [[row] = []] = await this.io.run(this.source, [
      bound(sql`with page as materialized (${page}) select count(*) as n, cast(max(o) as text) as last,
        json_group_array(distinct cast(k as text)) filter (where k is not null and not exists (
          select 1 from _shard_keys t where t.keyspace = ${this.keyspace} and t.key = cast(k as text) and t.at = ${this.source})) as keys
        from page`),
    ]);
    return {
      keys: JSON.parse(String(row?.keys ?? '[]')) as string[],
      last: row?.last === null || row?.last === undefined ? null : String(row.last),
      rows: Number(row?.n ?? 0),
    };
  }

  async #adopt(found: readonly FoundKey[]): Promise<void> {
    let left = found;
    for (let round = 1; left.length > 0; round++) {
      if (round > TRIES) throw new Error(`The slots of ${left.length} keys of ${this.source} do not come to rest.`);
      if (round > 1) await pause(jittered(20, round, 500));
      const homes = byHome(await this.#map(), this.keyspace, left);
      const results = await Promise.all(
        [...homes].map(([home, keys]) => adoptKeys(this.#io, this.keyspace, this.source, home, keys)),
      );
      left = results.flatMap(({ unsettled }) => unsettled);
    }
  }

  async #keyed(shard: string): Promise<readonly KeyTable[]> {
    const { keyed } = await readTables(this.io, this.spec, shard);
    return keyed.filter(({ keyspace }) => keyspace === this.keyspace);
  }

  async #tablesOf(shard: string, again: boolean): Promise<KeyTables> {
    const known = again ? undefined : this.#tables.get(shard);
    if (known) return known;
    const tables = await readKeyTables(this.io, shard, this.keyspace, await this.#keyed(shard));
    this.#tables.set(shard, tables);
    return tables;
  }
}

async function onEach(
  io: MoveIo,
  { shards }: ShardMap,
  statements: (at: { cluster: string; shard: string }) => ReturnType<typeof scannedStatements>,
): Promise<void> {
  for (const { name: shard, state } of shards) {
    if (state !== 'retired') await io.run(shard, statements({ cluster: io.cluster, shard }));
  }
}
