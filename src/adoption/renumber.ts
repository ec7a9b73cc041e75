import type { ShardMap } from '../catalog/catalog';
import { sameName } from '../layout/table';
import type { KeyTable, ShardTables } from '../moves/key-tables';
import { slotOf } from '../placement/slots';
import { bound, name, raw, type Sql, sql } from '../sql/tag';
import { foldName } from '../sql/tokens';
import { type AdoptionIo, adoptKeys, byHome, readKeyTables } from './adopt-keys';
import type { ConflictRule, Losing } from './decide';
import type { ResolveParts, Resolving, Tally } from './resolve';
import { unowned } from './set-aside';

const IDS_PER_BATCH = 500;

/** Gives rows whose shard key is their id new ids: ones that no table of the keyspace has, so that the key is new as well. */
export async function renumberKeys(
  { io, keyspace, tables, renumbered }: Resolving,
  map: ShardMap,
  shard: string,
  losing: readonly Losing[],
): Promise<void> {
  for (const { table, keys } of losing) {
    const ids = await freshIds(io, tables, table, keyspace, keys.length);
    const pairs = keys.map((key, i) => [key, ids[i] as string] as const);
    const adoptionIo: AdoptionIo = {
      ...io,
      tablesOf: (at) => readKeyTables(io, at, keyspace, tables.get(at)?.keyed ?? []),
    };
    // Their places first: a row whose place is not known would not be found.
    const fresh = ids.map((key) => ({ key, slot: slotOf(key) }));
    for (const [home, own] of byHome(map, keyspace, fresh)) await adoptKeys(adoptionIo, keyspace, shard, home, own);
    renumbered.add(shard, table.name, await giveIds(io, shard, table, pairs, unowned(keyspace, keys)));
  }
}

/** Ids that rows of several databases have, in tables whose shard key is another column: all but the first get new ones. */
export async function renumberSharedIds(
  io: ResolveParts['io'],
  tables: ReadonlyMap<string, ShardTables>,
  rules: ReadonlyMap<string, ConflictRule>,
  renumbered: Tally,
): Promise<void> {
  for (const [folded, rule] of rules) {
    if (rule !== 'renumber') continue;
    const holders = [...tables].flatMap(([shard, { keyed }]) => {
      const table = keyed.find((one) => foldName(one.name) === folded);
      return table?.rowidAlias !== undefined && !sameName(table.rowidAlias, table.key) ? [{ shard, table }] : [];
    });
    for (const [i, { shard, table }] of holders.entries()) {
      for (const other of holders.slice(0, i)) {
        await renumberAgainst(io, tables, { shard, table }, other, renumbered);
      }
    }
  }
}

interface Holder {
  readonly shard: string;
  readonly table: KeyTable;
}

async function renumberAgainst(
  io: ResolveParts['io'],
  tables: ReadonlyMap<string, ShardTables>,
  { shard, table }: Holder,
  other: Holder,
  renumbered: Tally,
): Promise<void> {
  const id = name(table.rowidAlias as string);
  for (let after: string | undefined; ; ) {
    const beyond = after === undefined ? raw('true') : sql`${id} > cast(${after} as integer)`;
    const [rows = []] = await io.run(shard, [
      bound(
        sql`select cast(${id} as text) as id from ${name(table.name)} where ${beyond} order by ${id} limit ${IDS_PER_BATCH}`,
      ),
    ]);
    const ids = rows.map((row) => String(row.id));
    if (ids.length === 0) return;
    after = ids.at(-1);
    const [taken = []] = await io.run(other.shard, [
      bound(sql`select j.value as id from json_each(${JSON.stringify(ids)}) j
        where j.value in (select ${id} from ${name(other.table.name)}) order by j.key`),
    ]);
    if (taken.length === 0) continue;
    const fresh = await freshIds(io, tables, table, undefined, taken.length);
    const pairs = taken.map((row, n) => [String(row.id), fresh[n] as string] as const);
    renumbered.add(shard, table.name, await giveIds(io, shard, table, pairs));
  }
}

async function giveIds(
  io: ResolveParts['io'],
  shard: string,
  table: KeyTable,
  pairs: readonly (readonly [old: string, fresh: string])[],
  among?: Sql,
): Promise<number> {
  const id = name(table.rowidAlias as string);
  const [rows = []] = await io.run(shard, [
    bound(sql`update ${name(table.name)} as t set ${id} = cast(j.value->>1 as integer) from json_each(${JSON.stringify(pairs)}) j
      where t.${id} = cast(j.value->>0 as integer) and ${among ? sql`t.${id} in ${among}` : raw('true')} returning 1`),
  ]);
  return rows.length;
}

/** From the table's own sequence, which goes on above every id of the table, and above every key of the keyspace. */
async function freshIds(
  io: ResolveParts['io'],
  tables: ReadonlyMap<string, ShardTables>,
  table: KeyTable,
  keyspace: string | undefined,
  count: number,
): Promise<string[]> {
  let highest = 0n;
  for (const [shard, { keyed }] of tables) {
    for (const one of keyed) {
      const columns = [
        ...(sameName(one.name, table.name) && one.rowidAlias !== undefined ? [one.rowidAlias] : []),
        ...(one.keyspace === keyspace ? [one.key] : []),
      ];
      for (const column of columns) {
        const [[row] = []] = await io.run(shard, [
          bound(sql`select cast(max(cast(${name(column)} as integer)) as text) as hi from ${name(one.name)}`),
        ]);
        const found = BigInt(String(row?.hi ?? 0));
        if (found > highest) highest = found;
      }
    }
  }
  const block = await io.catalog.sequence(table.name, count, Number(highest));
  if (!block) throw new Error(`The sequence of ${table.name} did not begin.`);
  return Array.from({ length: count }, (_, i) => String(block.from + i));
}
