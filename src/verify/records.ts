import type { ShardMap } from '../catalog/catalog';
import type { MoveIo } from '../moves/io';
import type { KeyTable } from '../moves/key-tables';
import { CONFLICT } from '../placement/conflict';
import { homeOf } from '../placement/home';
import { slotOf } from '../placement/slots';
import { bound, joinSql, name, raw, type Sql, sql } from '../sql/tag';
import type { Finding } from './finding';

/** How many keys there are of a kind, and some of them. */
export interface KeyCount {
  readonly keys: number;
  readonly examples: readonly string[];
}

export interface LostKey {
  readonly key: string;
  /** Where its home says that it lives. */
  readonly at: string;
}

/** What the records of a home and those of the shards that they name say of each other. */
export interface Compared {
  /** The named shard says that it lives elsewhere. */
  readonly lost: readonly LostKey[];
  /** By named shard: it knows nothing of the key, and has no rows of it. */
  readonly unwritten: ReadonlyMap<string, KeyCount>;
}

const RECORDS_PER_PAGE = 5000;
const EXAMPLES = 5;
const NONE: KeyCount = { keys: 0, examples: [] };

const more = ({ keys, examples }: KeyCount, list: readonly string[], count: number): KeyCount => ({
  keys: keys + count,
  examples: [...examples, ...list.slice(0, EXAMPLES - examples.length)],
});

/**
 * Whether some table has rows of a key. IN takes the index of the shard key, and without one it reads the table once and not
 * once for each key. A list, because D1 does not let ANDs and ORs of a hundred tables be that deep.
 */
const hasRows = (tables: readonly KeyTable[], key: Sql): Sql =>
  tables.length === 0
    ? raw('false')
    : sql`1 in (${joinSql(
        tables.map((table) => sql`coalesce(${key} in (select ${name(table.key)} from ${name(table.name)}), 0)`),
        ', ',
      )})`;

const beyond = (after: string | undefined): Sql => (after === undefined ? raw('true') : sql`key > ${after}`);

const ownsSlot = (keyspace: string, slot: Sql): Sql =>
  sql`exists (select 1 from _shard_slots s where s.keyspace = ${keyspace} and ${slot} between s.lo and s.hi)`;

/** Keys that live here by a record, and of which no table has a row. */
export async function findRowless(
  io: MoveIo,
  shard: string,
  keyspace: string,
  tables: readonly KeyTable[],
): Promise<KeyCount> {
  let found = NONE;
  for (let after: string | undefined; ; ) {
    const [[page] = []] = await io.run(shard, [
      bound(sql`with page as materialized (select key, at from _shard_keys
          where keyspace = ${keyspace} and ${beyond(after)} order by key limit ${RECORDS_PER_PAGE}),
        rowless as materialized (select key from page where at = ${shard} and not ${hasRows(tables, raw('page.key'))})
        select (select count(*) from page) as records, (select max(key) from page) as last,
          (select count(*) from rowless) as n,
          (select json_group_array(key) from (select key from rowless order by key limit ${EXAMPLES})) as examples`),
    ]);
    found = more(found, JSON.parse(String(page?.examples)) as string[], Number(page?.n));
    if (Number(page?.records) < RECORDS_PER_PAGE) return found;
    after = String(page?.last);
  }
}

/** Compares the records on a home, of its own slots, with what the shards say that they name. */
export async function compareRecords(
  io: MoveIo,
  home: string,
  keyspace: string,
  tablesOf: (shard: string) => readonly KeyTable[],
): Promise<Compared> {
  const lost: LostKey[] = [];
  const unwritten = new Map<string, KeyCount>();
  for (let after: string | undefined; ; ) {
    const [rows = []] = await io.run(home, [
      bound(sql`select key, slot, at from _shard_keys where keyspace = ${keyspace} and ${beyond(after)} and at <> ${home} and at <> ${CONFLICT}
        and ${ownsSlot(keyspace, raw('slot'))} order by key limit ${RECORDS_PER_PAGE}`),
    ]);
    for (const at of new Set(rows.map((row) => String(row.at)))) {
      const list = JSON.stringify(rows.flatMap((row) => (row.at === at ? [[row.key, row.slot]] : [])));
      const [found = []] = await io.run(at, [
        bound(sql`select j.key, r.at from (select value->>0 as key, value->>1 as slot from json_each(${list})) j
          left join _shard_keys r on r.keyspace = ${keyspace} and r.key = j.key
          where case when r.at is null then not ${ownsSlot(keyspace, raw('j.slot'))} and not ${hasRows(tablesOf(at), raw('j.key'))}
            else r.at <> ${at} end order by j.key`),
      ]);
      lost.push(...found.filter((row) => row.at !== null).map((row) => ({ key: String(row.key), at })));
      const unknown = found.filter((row) => row.at === null).map((row) => String(row.key));
      if (unknown.length > 0) unwritten.set(at, more(unwritten.get(at) ?? NONE, unknown, unknown.length));
    }
    if (rows.length < RECORDS_PER_PAGE) return { lost, unwritten };
    after = String(rows.at(-1)?.key);
  }
}

/** A key that lives on a shard by the record that it has, and of which its home knows nothing. */
export interface ForgottenKey extends LostKey {
  readonly slot: number;
  readonly home: string;
}

/**
 * Keys with a record and rows here whose home has none: no query with the key finds them. A home that was restored to an earlier
 * time has forgotten them.
 */
export async function findForgotten(
  io: MoveIo,
  map: ShardMap,
  at: string,
  keyspace: string,
  tables: readonly KeyTable[],
): Promise<ForgottenKey[]> {
  const found: ForgottenKey[] = [];
  for (let after: string | undefined; ; ) {
    const [rows = []] = await io.run(at, [
      bound(sql`select key, slot from _shard_keys where keyspace = ${keyspace} and ${beyond(after)} and at = ${at}
        and not ${ownsSlot(keyspace, raw('slot'))} and ${hasRows(tables, raw('key'))} order by key limit ${RECORDS_PER_PAGE}`),
    ]);
    const homes = rows.map(({ slot }) => homeOf(map, keyspace, Number(slot)));
    for (const home of new Set(homes)) {
      if (home === undefined || home === at) continue;
      const list = JSON.stringify(rows.flatMap(({ key, slot }, i) => (homes[i] === home ? [[key, slot]] : [])));
      const [unknown = []] = await io.run(home, [
        bound(sql`select j.value->>0 as key, j.value->>1 as slot from json_each(${list}) j where not exists (
          select 1 from _shard_keys r where r.keyspace = ${keyspace} and r.key = j.value->>0) order by 1`),
      ]);
      found.push(...unknown.map(({ key, slot }) => ({ key: String(key), slot: Number(slot), at, home })));
    }
    if (rows.length < RECORDS_PER_PAGE) return found;
    after = String(rows.at(-1)?.key);
  }
}

/** Tells the home again where the key lives, unless it has rows of it as well, or moves. */
export async function remindHome(
  io: MoveIo,
  keyspace: string,
  { key, slot, at, home }: ForgottenKey,
  tables: readonly KeyTable[],
): Promise<boolean> {
  const [, [row] = []] = await io.run(home, [
    bound(sql`insert into _shard_keys (keyspace, key, slot, at) select ${keyspace}, ${key}, ${slot}, ${at}
      where ${ownsSlot(keyspace, sql`${slot}`)} and not ${hasRows(tables, sql`${key}`)} and not exists (
        select 1 from _shard_moves where keyspace = ${keyspace} and side in ('in', 'out') and ${slot} between lo and hi
          and phase not in ('closed', 'aborted', 'released')) on conflict do nothing`),
    bound(sql`select at from _shard_keys where keyspace = ${keyspace} and key = ${key}`),
  ]);
  return row?.at === at;
}

/** Rows of a key on the shard that its home names, which knows nothing of the key. */
export async function findUnrecorded(
  io: MoveIo,
  map: ShardMap,
  { shard, keyspace, key }: { shard: string; keyspace: string; key: string },
  tables: readonly KeyTable[],
): Promise<Omit<Finding, 'repaired'> | undefined> {
  // A home that lacks its own slots is a finding of its own.
  if (homeOf(map, keyspace, slotOf(key)) === shard) return undefined;
  const [[row] = []] = await io.run(shard, [
    bound(sql`select not exists (select 1 from _shard_keys where keyspace = ${keyspace} and key = ${key})
      and not ${ownsSlot(keyspace, sql`${slotOf(key)}`)} and ${hasRows(tables, sql`${key}`)} as n`),
  ]);
  if (row?.n !== 1) return undefined;
  return {
    kind: 'unreachable',
    shard,
    keyspace,
    key,
    message: `the key '${key}' has rows here, as its home says, and no record.`,
    remedy: 'A write of the key makes one.',
  };
}
