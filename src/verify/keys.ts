import type { ShardMap } from '../catalog/catalog';
import type { CarriedTable } from '../moves/carry';
import type { MoveIo } from '../moves/io';
import { slotOf } from '../placement/slots';
import { bound, name, sql } from '../sql/tag';

/** A table of a keyspace with its shard-key column. */
export interface KeyedTable {
  readonly name: string;
  readonly key: string;
  readonly keyspace: string;
  readonly carried: CarriedTable;
}

/** A key with rows on a shard that does not own it. */
export interface Misplaced {
  readonly shard: string;
  readonly keyspace: string;
  readonly key: string;
  readonly table: string;
}

const KEYS_PER_PAGE = 5000;

/** Slots that a shard says it owns, by keyspace. */
export async function readOwned(io: MoveIo, shard: string): Promise<Map<string, [lo: number, hi: number][]>> {
  const [rows = []] = await io.run(shard, [
    bound(sql`select keyspace, lo, hi from _shard_slots order by keyspace, lo`),
  ]);
  const owned = new Map<string, [number, number][]>();
  for (const { keyspace, lo, hi } of rows) {
    owned.set(String(keyspace), [...(owned.get(String(keyspace)) ?? []), [Number(lo), Number(hi)]]);
  }
  return owned;
}

const covers = (ranges: readonly (readonly [number, number])[], slot: number): boolean =>
  ranges.some(([lo, hi]) => lo <= slot && slot <= hi);

/** Keys that have rows here although neither a record nor their slot says so. */
export async function findMisplaced(io: MoveIo, shard: string, table: KeyedTable): Promise<Misplaced[]> {
  const { keyspace } = table;
  const owned = (await readOwned(io, shard)).get(keyspace) ?? [];
  const misplaced: Misplaced[] = [];
  const key = name(table.key);
  for (let after: string | undefined; ; ) {
    const beyond = after === undefined ? sql`${key} is not null` : sql`${key} > ${after}`;
    const [rows = []] = await io.run(shard, [
      bound(sql`select cast(k as text) as k, (select at from _shard_keys r where r.keyspace = ${keyspace} and r.key = cast(k as text)) as at
        from (select distinct ${key} as k from ${name(table.name)} where ${beyond} order by ${key} limit ${KEYS_PER_PAGE})`),
    ]);
    for (const { k, at } of rows) {
      const isHere = at === null ? covers(owned, slotOf(String(k))) : at === shard;
      if (!isHere) misplaced.push({ shard, keyspace, key: String(k), table: table.name });
    }
    if (rows.length < KEYS_PER_PAGE) return misplaced;
    after = String(rows.at(-1)?.k);
  }
}

/** Where a key lives by the word of its home; undefined when nobody owns its slot. */
export async function ownerOf(io: MoveIo, map: ShardMap, keyspace: string, key: string): Promise<string | undefined> {
  const slot = slotOf(key);
  const home = map.keyspaces[keyspace]?.ranges.find(({ lo, hi }) => lo <= slot && slot <= hi)?.shard;
  if (home === undefined) return undefined;
  const [[row] = []] = await io.run(home, [
    bound(sql`select at from _shard_keys where keyspace = ${keyspace} and key = ${key}`),
  ]);
  return row ? String(row.at) : home;
}

/** Records on a shard's own keys that name shards which do not have the key: its routers find nothing. */
export async function findUnreachable(
  io: MoveIo,
  home: string,
): Promise<{ keyspace: string; key: string; at: string }[]> {
  const [rows = []] = await io.run(home, [
    bound(sql`select k.keyspace, k.key, k.at from _shard_keys k where k.at <> ${home} and exists (
      select 1 from _shard_slots s where s.keyspace = k.keyspace and k.slot between s.lo and s.hi)`),
  ]);
  const byShard = new Map<string, { keyspace: string; key: string; at: string }[]>();
  for (const { keyspace, key, at } of rows) {
    const list = byShard.get(String(at)) ?? [];
    list.push({ keyspace: String(keyspace), key: String(key), at: String(at) });
    byShard.set(String(at), list);
  }
  const lost: { keyspace: string; key: string; at: string }[] = [];
  for (const [at, keys] of byShard) {
    const list = JSON.stringify(keys.map(({ keyspace, key }) => [keyspace, key]));
    const [found = []] = await io.run(at, [
      bound(sql`select j.key as n, r.at from json_each(${list}) j
        join _shard_keys r on r.keyspace = j.value->>0 and r.key = j.value->>1 where r.at <> ${at}`),
    ]);
    // One that it has no record of was claimed, and never written.
    for (const { n } of found) {
      const one = keys[Number(n)];
      if (one) lost.push(one);
    }
  }
  return lost;
}
