import type { ShardMap } from '../catalog/catalog';
import type { MoveIo } from '../moves/io';
import type { KeyTable } from '../moves/key-tables';
import { homeOf } from '../placement/home';
import { slotOf } from '../placement/slots';
import { bound, name, sql } from '../sql/tag';

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
export async function findMisplaced(io: MoveIo, shard: string, table: KeyTable): Promise<Misplaced[]> {
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
  const home = homeOf(map, keyspace, slotOf(key));
  if (home === undefined) return undefined;
  const [[row] = []] = await io.run(home, [
    bound(sql`select at from _shard_keys where keyspace = ${keyspace} and key = ${key}`),
  ]);
  return row ? String(row.at) : home;
}
