import { allTrue, hasRows, type KeyColumn, MEMO, TABLE_LIST } from '../placement/claims';
import { CONFLICT } from '../placement/conflict';
import { FROM_IDENTITY, frozen, IDENTITY, IS_OTHER, noting, owns, raise } from '../placement/guard';
import type { BoundStatement } from '../sql/bound';

/** A key that a database came with, in canonical form. */
export interface FoundKey {
  readonly key: string;
  readonly slot: number;
}

export interface At {
  readonly cluster: string;
  readonly shard: string;
}

/** The tables of a database as they were read: SHARD_TABLES when there are others now. */
export interface KeyTables {
  readonly list: string | null;
  readonly columns: readonly KeyColumn[];
}

const keysAt = (at: number): string => `(select key as n, value->>0 as k, value->>1 as s from json_each(?${at}))`;
const listOf = (keys: readonly FoundKey[]): string => JSON.stringify(keys.map(({ key, slot }) => [key, slot]));

/** Whoever scans after the end was thought dead. What it finds may have moved on since, as every key may from then on. */
const isEnded = (keyspace: string, source: string): string =>
  `exists (select 1 from _shard_adopting a where a.keyspace = ${keyspace} and a.source = ${source} and a.done)`;

const checkIdentity = ({ cluster, shard }: At): BoundStatement => ({
  sql: `select case when ${IS_OTHER} then ${IDENTITY} end ${FROM_IDENTITY}`,
  params: [shard, cluster],
});

const checkTables = ({ cluster, shard }: At, list: string | null): BoundStatement => ({
  sql: `select case when ${IS_OTHER} then ${IDENTITY} when ${TABLE_LIST} is not ?3 then ${raise("'SHARD_TABLES'")} end ${FROM_IDENTITY}`,
  params: [shard, cluster, list],
});

/**
 * Records on their home where keys live that `source` came with. Keys with another record, or with rows here, stay as they are:
 * see {@link readAdopted}.
 */
export function adoptStatements(
  home: At,
  keyspace: string,
  source: string,
  keys: readonly FoundKey[],
  { list, columns }: KeyTables,
): BoundStatement[] {
  const rowless = home.shard === source ? [] : columns.map((column) => `not ${hasRows(column, 'j.k', keys.length)}`);
  const isFrozen = frozen('?1', 'j.k', 'j.s', 'null');
  return [
    checkTables(home, list),
    {
      sql: `insert into _shard_keys (keyspace, key, slot, at, move)
        select ?1, j.k, j.s, ?3, iif(?3 = i.name, ${MEMO}, 0) from ${keysAt(2)} j, _shard_identity i
        where ${owns('?1', 'j.s')} and not ${isFrozen} and not ${isEnded('?1', '?3')} and ${allTrue(rowless)} on conflict do nothing`,
      params: [keyspace, listOf(keys), source],
    },
    {
      sql: `select t.at, ${owns('?1', 'j.s')} and not ${isFrozen} as settled, ${isEnded('?1', '?3')} as ended from ${keysAt(2)} j
        left join _shard_keys t on t.keyspace = ?1 and t.key = j.k order by j.n`,
      params: [keyspace, listOf(keys), source],
    },
  ];
}

/** What became of each key, by the last result of {@link adoptStatements}. */
export type Adopted = 'adopted' | 'unsettled' | 'ended' | { readonly conflictsWith: string };

export const readAdopted = (
  home: string,
  source: string,
  { at, settled, ended }: Readonly<Record<string, unknown>>,
): Adopted => {
  if (at === source) return 'adopted';
  if (ended === 1) return 'ended';
  if (at !== null) return { conflictsWith: String(at) };
  // Its slot is being moved, or was.
  return settled === 1 ? { conflictsWith: home } : 'unsettled';
};

/** On the database that came with them: the keys live here. Of keys whose slots it owns nothing is written. */
export const arriveStatements = (source: At, keyspace: string, keys: readonly FoundKey[]): BoundStatement[] => [
  checkIdentity(source),
  {
    sql: `insert into _shard_keys (keyspace, key, slot, at) select ?1, j.k, j.s, i.name from ${keysAt(2)} j, _shard_identity i
      where not ${owns('?1', 'j.s')} on conflict do nothing`,
    params: [keyspace, listOf(keys)],
  },
];

const GIVE_UP = 'update _shard_identity set version = version + 1';

/** On their home: two databases have these keys. Gives those that are a conflict now. */
export const conflictStatements = (
  home: At,
  keyspace: string,
  source: string,
  keys: readonly FoundKey[],
): BoundStatement[] => [
  checkIdentity(home),
  {
    sql: `insert into _shard_keys (keyspace, key, slot, at) select ?1, j.k, j.s, '${CONFLICT}' from ${keysAt(2)} j
      where ${owns('?1', 'j.s')} and not ${isEnded('?1', '?3')} on conflict do update set at = excluded.at, move = 0`,
    params: [keyspace, listOf(keys), source],
  },
  { sql: GIVE_UP, params: [] },
  {
    sql: `select key from _shard_keys where keyspace = ?1 and at = '${CONFLICT}' and key in (select k from ${keysAt(2)})`,
    params: [keyspace, listOf(keys)],
  },
];

/** On a shard that was recorded to have these keys, and is not their home. */
export const disownStatements = (shard: At, keyspace: string, keys: readonly FoundKey[]): BoundStatement[] => [
  checkIdentity(shard),
  {
    sql: `delete from _shard_keys as t where keyspace = ?1 and key in (select k from ${keysAt(2)})
      and at = (select name from _shard_identity) and not ${owns('?1', 't.slot')}`,
    params: [keyspace, listOf(keys)],
  },
  { sql: `${GIVE_UP} where changes() > 0`, params: [] },
];

/** Which of these keys have rows here. */
export const probeStatements = (
  source: At,
  keys: readonly string[],
  { list, columns }: KeyTables,
): BoundStatement[] => [
  checkTables(source, list),
  {
    sql: `select j.key as n from json_each(?1) j where ${anyTrue(columns.map((column) => hasRows(column, 'j.value', keys.length)))}`,
    params: [JSON.stringify(keys)],
  },
];

const anyTrue = (conditions: readonly string[]): string =>
  conditions.length === 0 ? 'false' : `not ${allTrue(conditions.map((one) => `not ${one}`))}`;

/** Deletes some of the records that only served the adoption, after a key; gives the last key, or no row at the end. */
export const forgetMemoStatements = (
  shard: At,
  keyspace: string,
  after: string | null,
  count: number,
): BoundStatement[] => [
  checkIdentity(shard),
  {
    sql: `select max(key) as last from (select key from _shard_keys where keyspace = ?1 and (?2 is null or key > ?2) order by key limit ${count})
      having count(*) > 0`,
    params: [keyspace, after],
  },
  ...forget(
    `key in (select key from _shard_keys where keyspace = ?1 and (?2 is null or key > ?2) order by key limit ${count})
      and move = ${MEMO} and at = (select name from _shard_identity) and ${owns('?1', 't.slot')}`,
    [keyspace, after],
  ),
];

/**
 * Deletes records of keys at their home. A move takes along what has none: keys that are being moved keep theirs, and where keys
 * are being listed for a move, these are.
 */
const forget = (which: string, params: readonly unknown[]): BoundStatement[] => {
  const from = `_shard_keys as t where keyspace = ?1 and ${which} and not ${frozen('?1', 't.key', 't.slot', 'null')}`;
  return [
    {
      sql: `insert into _shard_scope (keyspace, key, slot) select keyspace, key, slot from ${from} and ${noting('?1', 't.slot')}
        on conflict do nothing`,
      params,
    },
    { sql: `delete from ${from}`, params },
  ];
};

/** From here on a key without a record lives by its slot, as far as this database is concerned. */
export const scannedStatements = (shard: At, keyspace: string, source: string): BoundStatement[] => [
  checkIdentity(shard),
  {
    // Also where nobody has told of it: who does so late must not begin it.
    sql: `insert into _shard_adopting (keyspace, source, id, done) values (?1, ?2, 0, 1) on conflict do update set done = 1`,
    params: [keyspace, source],
  },
];

/** What decides keys that two databases came with: their rows are only on `winner` now. In this order. */
export function decideStatements(
  cluster: string,
  keyspace: string,
  home: string,
  winner: string,
  keys: readonly FoundKey[],
): { readonly shard: string; readonly statements: BoundStatement[] }[] {
  const at = { cluster, shard: home };
  const which = `keyspace = ?1 and at = '${CONFLICT}' and key in (select k from ${keysAt(2)})`;
  const params = [keyspace, listOf(keys)];
  const isAdopted = 'not exists (select 1 from _shard_adopting a where a.keyspace = ?1 and a.done = 0)';
  const decided = [
    checkIdentity(at),
    // At its own home a key needs no record, but while others are looked for.
    ...(winner === home
      ? forget(`at = '${CONFLICT}' and key in (select k from ${keysAt(2)}) and ${isAdopted}`, params)
      : []),
    {
      sql: `update _shard_keys set at = ?3, move = ${winner === home ? MEMO : 0} where ${which}`,
      params: [...params, winner],
    },
  ];
  const arrival =
    winner === home
      ? []
      : [{ shard: winner, statements: arriveStatements({ cluster, shard: winner }, keyspace, keys) }];
  return [...arrival, { shard: home, statements: decided }];
}
