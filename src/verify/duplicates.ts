import { type MoveIo, raisedBy } from '../moves/io';
import type { KeyTable } from '../moves/key-tables';
import { checkIdentity, raising } from '../moves/move-sql';
import { withKey } from '../moves/of-keys';
import { rowJson } from '../moves/rows';
import { slotOf } from '../placement/slots';
import { bound, name, type Sql, sql } from '../sql/tag';

/** A key with rows on a shard that is not its owner. */
export interface Copy {
  readonly keyspace: string;
  readonly key: string;
  readonly shard: string;
  readonly owner: string;
}

const ofKey = (table: KeyTable, key: string): Sql => sql`${name(table.name)} where ${withKey(table, key)}`;

/** How the rows here are to those of the owner: gone meanwhile, `stray` when it has none, the same, or others. */
export async function sameRows(
  io: MoveIo,
  { key, shard, owner }: Copy,
  tables: readonly KeyTable[],
): Promise<'gone' | 'stray' | 'same' | 'other'> {
  const read = async (where: string) => {
    const rows = await io.run(
      where,
      tables.map((table) => bound(sql`select ${rowJson(table)} as "row" from ${ofKey(table, key)}`)),
    );
    return rows.flatMap((list, i) => list.map(({ row }) => `${tables[i]?.name} ${row}`));
  };
  const [here, there] = [await read(shard), await read(owner)];
  if (here.length === 0) return 'gone';
  if (there.length === 0) return 'stray';
  const known = new Set(there);
  return here.every((row) => known.has(row)) ? 'same' : 'other';
}

/** Deletes the rows here, in a batch that checks that this shard does not own the key and that nothing moves it. */
export async function removeCopy(
  io: MoveIo,
  { keyspace, key, shard }: Copy,
  tables: readonly KeyTable[],
): Promise<boolean> {
  const slot = slotOf(key);
  const owns = sql`coalesce((select at = ${shard} from _shard_keys where keyspace = ${keyspace} and key = ${key}),
    exists (select 1 from _shard_slots where keyspace = ${keyspace} and ${slot} between lo and hi))`;
  const moves = sql`exists (select 1 from _shard_moves where keyspace = ${keyspace} and side in ('in', 'out')
    and phase in ('staging', 'frozen', 'landed') and ${slot} between lo and hi)`;
  try {
    await io.run(
      shard,
      [
        checkIdentity(io.cluster, shard),
        sql`select case when ${owns} or ${moves} then ${raising("'SHARD_OWNER'")} end`,
        // Its own foreign keys hold: children first would need their order, so they are checked at the end.
        sql`pragma defer_foreign_keys = on`,
        ...tables.map((table) => sql`delete from ${ofKey(table, key)}`),
      ].map(bound),
    );
    return true;
  } catch (error) {
    if (raisedBy(error)?.kind === 'OWNER') return false;
    throw error;
  }
}
