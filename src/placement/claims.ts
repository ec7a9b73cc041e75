import type { BoundStatement } from '../sql/bound';
import { quoteName } from '../sql/tokens';
import {
  ADOPTING,
  adopting,
  BUSY,
  FROM_IDENTITY,
  frozen,
  IDENTITY,
  IS_OTHER,
  NOT_OWNER,
  owns,
  type PlacedKey,
  raise,
  released,
} from './guard';

/** A new key, and where its strategy wants it. `shard` is its home, which decides. */
export interface Claim extends PlacedKey {
  readonly wanted: string;
}

/** A table of a keyspace with its shard-key column: a key whose rows are there already stays where it is. */
export interface KeyColumn {
  readonly table: string;
  readonly column: string;
}

/** Looking for so many keys one by one in a table without an index is as quick as listing all of its keys first. */
const FEW_KEYS = 4;

/**
 * The condition that a table has rows of a key, for a list of `count` keys. IN takes the index of the shard key, and without one
 * it reads the table once and not once for each key.
 */
export const hasRows = ({ table, column }: KeyColumn, key: string, count: number): string =>
  count <= FEW_KEYS
    ? `exists (select 1 from ${quoteName(table)} where ${quoteName(column)} = ${key})`
    : `coalesce(${key} in (select ${quoteName(column)} from ${quoteName(table)}), 0)`;

/** An AND of conditions as a tree: as a chain, a hundred of them would be deeper than D1 lets an expression be. */
export function allTrue(conditions: readonly string[]): string {
  if (conditions.length < 2) return conditions[0] ?? 'true';
  const half = conditions.length >> 1;
  return `(${allTrue(conditions.slice(0, half))} and ${allTrue(conditions.slice(half))})`;
}

/** The user's tables of a database, in one text: a claim must look into all of them. */
export const TABLE_LIST = `(select group_concat(name, char(10)) from (select name from pragma_table_list
  where schema = 'main' and type = 'table' and name not glob '_shard_*' and name not glob 'sqlite_*'
  and name not glob '_cf_*' order by name))`;

export const readTableList: BoundStatement = { sql: `select ${TABLE_LIST} as tables`, params: [] };

/**
 * Claims new keys on their home, whose first claim wins: a record says where each lives from now on. Keys with a record, or
 * with rows, keep their place.
 *
 * @param tables The tables that the home is known to have, as {@link readTableList} gave them: SHARD_TABLES if they changed.
 */
export function claimStatements(
  { cluster, shard }: { readonly cluster: string; readonly shard: string },
  keyspace: string,
  claims: readonly Claim[],
  columns: readonly KeyColumn[],
  tables: string | null,
): BoundStatement[] {
  const list = JSON.stringify(claims.map(({ key, slot, wanted, probed = 0 }) => [key, slot, wanted, probed]));
  const keys = (at: number) =>
    `(select key as n, value->>0 as k, value->>1 as s, value->>2 as wanted, value->>3 as probed from json_each(?${at}))`;
  const unrecorded = 'not exists (select 1 from _shard_keys t where t.keyspace = ?3 and t.key = j.k)';
  const lost = `not ${owns('?3', 'j.s')}`;
  const rowless = columns.map((column) => `not ${hasRows(column, 'j.k', claims.length)}`);
  return [
    {
      sql: `select case when ${IS_OTHER} then ${IDENTITY}
        when exists (select 1 from ${keys(4)} j where ${lost}) then coalesce(
          ${raise(`'SHARD_MOVED ' || (select hex(json_group_array(json_array(j.n, m.peer, 1, i.version))) from ${keys(4)} j
            join _shard_moves m on ${released('?3', 'j.s')} where ${lost} having count(*) > 0)`)}, ${NOT_OWNER})
        when exists (select 1 from ${keys(4)} j where ${unrecorded} and ${adopting('?3', 'j.probed')}) then ${ADOPTING}
        when exists (select 1 from ${keys(4)} j where ${unrecorded} and ${frozen('?3', 'j.k', 'j.s', 'null')}) then ${BUSY}
        when exists (select 1 from ${keys(4)} j where ${unrecorded} and j.wanted in (select shard from _shard_closed))
          then ${raise("'SHARD_DRAINING'")}
        when ${TABLE_LIST} is not ?5 then ${raise("'SHARD_TABLES'")}
        end as guard, i.version, i.digest ${FROM_IDENTITY}`,
      params: [shard, cluster, keyspace, list, tables],
    },
    {
      sql: `insert into _shard_keys (keyspace, key, slot, at)
        select ?1, j.k, j.s, j.wanted from ${keys(2)} j where ${allTrue(rowless)} on conflict do nothing`,
      params: [keyspace, list],
    },
    {
      sql: `select coalesce(t.at, (select name from _shard_identity)) as at from ${keys(2)} j
        left join _shard_keys t on t.keyspace = ?1 and t.key = j.k order by j.n`,
      params: [keyspace, list],
    },
  ];
}

/**
 * What comes first in a write to a shard that a key's home has named: the record "lives here", unless the shard has given
 * something up since it was known, or has the key by its slot.
 */
export function arriveStatement(keys: readonly PlacedKey[]): BoundStatement {
  const list = keys.map(({ keyspace, key, slot, known }) => [keyspace, key, slot, known]);
  return {
    sql: `insert into _shard_keys (keyspace, key, slot, at)
      select j.value->>0, j.value->>1, j.value->>2, i.name from json_each(?1) j, _shard_identity i
      where i.version = j.value->>3 and not ${owns('j.value->>0', 'j.value->>2')} on conflict do nothing`,
    params: [JSON.stringify(list)],
  };
}

/** The `move` of a record of a key at its own home: once the keyspace is adopted it lives there by its slot. */
export const MEMO = -1;

/**
 * What comes first in a write of a key that no database came with, on its home: a record, so that nobody looks for it again.
 * Nothing is written once the keyspace is adopted.
 */
export const memoStatement = (keys: readonly PlacedKey[]): BoundStatement => ({
  sql: `insert into _shard_keys (keyspace, key, slot, at, move)
    select j.value->>0, j.value->>1, j.value->>2, i.name, ${MEMO} from json_each(?1) j, _shard_identity i
    where exists (select 1 from _shard_adopting a where a.keyspace = j.value->>0 and a.done = 0) on conflict do nothing`,
  params: [JSON.stringify(keys.map(({ keyspace, key, slot }) => [keyspace, key, slot]))],
});
