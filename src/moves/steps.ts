import type { BoundStatement } from '../sql/bound';
import { bound, name, raw, type Sql, sql } from '../sql/tag';
import type { Cargo, CarriedTable } from './carry';
import { createTriggers, dropTriggers, hexName, landRows } from './landing';
import { deletion } from './leaving';
import {
  checkIdentity,
  cutRange,
  insertMove,
  need,
  ownsRange,
  type PlacedMove,
  phaseOf,
  raising,
  readPhase,
  recordsIn,
  type Side,
  scopeOf,
  setPhase,
  weigh,
} from './move-sql';
import { withKeyIn } from './of-keys';
import { SCHEMA_TEXT } from './schema';

/**
 * The batches of a move, in the order in which they run. Each is one transaction whose precondition is the phase of the move
 * in that same shard, and each may be repeated: a mover that only seemed dead can do no harm later. docs/moves.md tells what
 * every step is for, and what a crash before or after it leaves.
 */

/** The cluster of a move, checked on every shard that it touches. */
interface In {
  readonly cluster: string;
}

/** A key and its slot. */
export type SlottedKey = readonly [key: string, slot: number];

const batch = (statements: readonly Sql[]): BoundStatement[] => statements.map(bound);

/** How far a move is on a shard, and what has landed there. */
export const readSide = ({ id }: PlacedMove, side: Side): BoundStatement =>
  bound(sql`select phase, counts from _shard_moves where id = ${id} and side = ${side}`);

/** What OPEN and FREEZE begin with. Only a shard that does not know the move yet has to wait for writes to all shards. */
const enter = (move: PlacedMove, side: Side, { cluster }: In): Sql[] => [
  checkIdentity(cluster, side === 'in' ? move.to : move.from),
  sql`delete from _shard_moves where side in ('pin', 'turn') and expires < unixepoch()`,
  sql`select case
    when ${phaseOf(move, side)} is null and (select floor from _shard_identity) > ${move.id} then ${raising("'SHARD_CLOSED'")}
    when ${phaseOf(move, side)} is null and exists (select 1 from _shard_moves where side = 'pin') then ${raising("'SHARD_PINNED'")}
    end`,
];

/** For how long new writes to all shards wait for a move that has to wait for those that are under way. */
const TURN_SECONDS = 2;

/** A move that was refused by a pin is the next. The write that comes after it finds the shard free. */
export const takeTurn = (id: number): BoundStatement[] =>
  batch([
    sql`insert into _shard_moves (id, side, phase, expires) values (${id}, 'turn', 'turn', unixepoch() + ${TURN_SECONDS})
      on conflict do update set expires = excluded.expires`,
  ]);

/** OPEN, on the target: from now on writes to all shards wait. */
export const open = (move: PlacedMove, where: In): BoundStatement[] =>
  batch([...enter(move, 'in', where), insertMove(move, 'in', 'staging'), turnTaken(move), readPhase(move, 'in')]);

const turnTaken = ({ id }: PlacedMove): Sql => sql`delete from _shard_moves where id = ${id} and side = 'turn'`;

/**
 * FREEZE, on the source: from now on writes in the scope wait. The source has to own all of it in this very batch.
 *
 * @param keys Of a move of keys.
 */
export function freeze(move: PlacedMove, where: In, cargo: Cargo, keys: readonly SlottedKey[]): BoundStatement[] {
  const { id, kind, keyspace, lo, hi, from, home } = move;
  const isNew = sql`${phaseOf(move, 'out')} is null`;
  const list = JSON.stringify(keys);
  const listed = sql`(select value->>0 as key, value->>1 as slot from json_each(${list}))`;
  const keyed = [
    // The home says that they are here: a claim that was only half done is completed.
    ...(from === home
      ? []
      : [
          sql`insert into _shard_keys (keyspace, key, slot, at) select ${keyspace}, key, slot, ${from} from ${listed}
            where ${isNew} on conflict do nothing`,
        ]),
    sql`select case when ${isNew} and exists (select 1 from ${listed} j where not coalesce(
        (select at = ${from} from _shard_keys k where k.keyspace = ${keyspace} and k.key = j.key),
        exists (select 1 from _shard_slots s where s.keyspace = ${keyspace} and j.slot between s.lo and s.hi)))
      then ${raising("'SHARD_NOT_OWNER'")} end`,
    sql`insert into _shard_move_keys (move, key, slot) select ${id}, key, slot from ${listed} where ${isNew}
      on conflict do nothing`,
  ];
  const slotted = [
    sql`select case when ${isNew} and not ${ownsRange(move)} then ${raising("'SHARD_NOT_OWNER'")}
      when ${isNew} and not exists (select 1 from _shard_moves where side = 'note' and phase = 'noted'
        and keyspace = ${keyspace} and lo <= ${lo} and hi >= ${hi} and expires > unixepoch()) then ${raising("'SHARD_UNNOTED'")} end`,
  ];
  return batch([
    ...enter(move, 'out', where),
    checkSchema(cargo.sourceText),
    ...(kind === 'keys' ? keyed : slotted),
    insertMove(move, 'out', 'frozen'),
    turnTaken(move),
    readPhase(move, 'out'),
  ]);
}

const checkSchema = (text: string): Sql =>
  sql`select case when ${raw(SCHEMA_TEXT)} is not ${text} then ${raising("'SHARD_SCHEMA'")} end`;

/** The keys behind one, from the first on where there is none: the empty text is a key as well. */
const isBehind = (after: string | undefined): Sql => (after === undefined ? raw('true') : sql`key > ${after}`);

/** The next keys in the scope, in order. They are frozen. */
const scopePage = (move: PlacedMove, after: string | undefined, limit: number): Sql =>
  move.kind === 'keys'
    ? sql`select key, slot from _shard_move_keys where move = ${move.id} and ${isBehind(after)} order by key limit ${limit}`
    : sql`select c.key, c.slot from _shard_scope c where c.keyspace = ${move.keyspace} and ${isBehind(after)}
        and c.key in ${scopeOf(move)} order by c.key limit ${limit}`;

export const readScope = (move: PlacedMove, after: string | undefined, limit: number): BoundStatement =>
  bound(scopePage(move, after, limit));

/** The same keys, for a condition on rows. */
export const keysInScope = (move: PlacedMove, after: string | undefined, limit: number): Sql =>
  sql`(select key from (${scopePage(move, after, limit)}))`;

/** COPY: placement records that go along with their slots. */
export const readRecords = (move: PlacedMove, after: string | undefined, limit: number): BoundStatement =>
  bound(sql`select json_array(key, slot, at, move) as "row", key from _shard_keys
    where ${recordsIn(move)} and ${isBehind(after)} order by key limit ${limit}`);

export const needFrozen = (move: PlacedMove): BoundStatement => bound(need(move, 'out', 'frozen'));

/** What is staged besides tables: names that no table has. */
export const STAGED_KEYS = '';
export const STAGED_RECORDS = ' records';

/** COPY, on the target. Each run of a mover stages for itself, so that what another one sends late is never mixed in. */
export const stage = (
  move: PlacedMove,
  run: string,
  parts: readonly { readonly table: string; readonly part: number; readonly rows: string }[],
): BoundStatement[] =>
  batch([
    need(move, 'in', 'staging'),
    ...parts.map(
      ({ table, part, rows }) =>
        sql`insert or replace into _shard_stage (move, run, tbl, part, rows) values (${move.id}, ${run}, ${table}, ${part}, ${rows})`,
    ),
  ]);

const inScope = (move: PlacedMove, table: CarriedTable): Sql =>
  sql`${name(table.name)} where ${withKeyIn(table, scopeOf(move))}`;

const staged = (move: PlacedMove, run: string, table: string): Sql =>
  sql`_shard_stage s, json_each(s.rows) j where s.move = ${move.id} and s.run = ${run} and s.tbl = ${table}`;

/**
 * LAND, on the target: the commit point. The rows must be exactly those that were counted, and read as they were read on the
 * source.
 */
export function land(move: PlacedMove, cargo: Cargo, run: string, counts: readonly number[]): BoundStatement[] {
  const keys = sql`(select j.value->>0 from ${staged(move, run, STAGED_KEYS)})`;
  return batch([
    need(move, 'in', 'staging'),
    checkSchema(cargo.targetText),
    ...landRows(
      cargo,
      (table) => staged(move, run, table.name),
      (table) => sql`${name(table.name)} where ${withKeyIn(table, keys)}`,
      counts,
    ),
    ...(move.kind === 'keys' ? landKeys(move, run) : landSlots(move, run)),
    sql`delete from _shard_stage where move = ${move.id}`,
    sql`update _shard_identity set ${weigh(move)}`,
    // For RELEASE: exactly these rows are here.
    sql`update _shard_moves set phase = 'landed', counts = ${JSON.stringify(countsByTable(cargo, counts))}
      where id = ${move.id} and side = 'in' and phase = 'staging'`,
  ]);
}

export const countsByTable = ({ tables }: Cargo, counts: readonly number[]): Record<string, number> =>
  Object.fromEntries(tables.map((table, i) => [table.name, counts[i] ?? 0]));

const landKeys = (move: PlacedMove, run: string): Sql[] => [
  sql`insert into _shard_move_keys (move, key, slot) select ${move.id}, j.value->>0, j.value->>1
    from ${staged(move, run, STAGED_KEYS)} on conflict do nothing`,
  pointAtTarget(move),
];

/** On source and target alike: the keys live on the target. */
const pointAtTarget = ({ id, keyspace, to }: PlacedMove): Sql =>
  sql`insert into _shard_keys (keyspace, key, slot, at, move) select ${keyspace}, key, slot, ${to}, ${id}
    from _shard_move_keys where move = ${id} on conflict do update set at = excluded.at, move = excluded.move`;

const landSlots = (move: PlacedMove, run: string): Sql[] => [
  sql`delete from _shard_keys where ${recordsIn(move)}`,
  sql`insert into _shard_keys (keyspace, key, slot, at, move)
    select ${move.keyspace}, j.value->>0, j.value->>1, j.value->>2, j.value->>3 from ${staged(move, run, STAGED_RECORDS)}`,
  sql`insert into _shard_slots (keyspace, lo, hi) values (${move.keyspace}, ${move.lo}, ${move.hi})`,
  // These keys were not noted here: whoever lists keys of these slots has to begin anew.
  sql`delete from _shard_moves where side = 'note' and keyspace = ${move.keyspace} and lo <= ${move.hi} and hi >= ${move.lo}`,
  sql`delete from _shard_scope where ${recordsIn(move)}`,
];

/** RELEASE, on the source: the rows go, and it says where they are. `dry`: tried, and rolled back. */
export function release(move: PlacedMove, cargo: Cargo, counts: readonly number[], dry: boolean): BoundStatement[] {
  const { tables, circular, silentAtRelease } = cargo;
  const handedOver = [
    ...cutRange(move),
    sql`delete from _shard_keys where ${recordsIn(move)} and at <> ${move.from}`,
    sql`delete from _shard_scope where ${recordsIn(move)}`,
  ];
  return batch([
    need(move, 'out', 'frozen'),
    checkSchema(cargo.sourceText),
    ...tables.map(
      (table, i) => sql`select case when n <> ${counts[i] ?? 0}
        then ${raising(`'SHARD_COUNT ' || ${hexName(table)} || '-' || n`)} end
        from (select count(*) as n from ${inScope(move, table)})`,
    ),
    ...(circular ? [sql`pragma defer_foreign_keys = on`] : []),
    ...dropTriggers(silentAtRelease),
    ...[...tables].reverse().flatMap((table) => deletion(table, inScope(move, table))),
    // The user's triggers may have kept some, or put them back: they would be on both shards.
    ...tables.map(
      (table) => sql`select case when exists (select 1 from ${inScope(move, table)})
        then ${raising(`'SHARD_KEPT ' || ${hexName(table)}`)} end`,
    ),
    ...createTriggers(silentAtRelease),
    ...(move.kind === 'keys' ? [pointAtTarget(move)] : handedOver),
    sql`update _shard_identity set version = version + 1, ${weigh(move)}`,
    setPhase(move, 'out', 'frozen', 'released'),
    ...(dry ? [sql`select ${raising(`'${REHEARSED}'`)}`] : []),
  ]);
}

export const REHEARSED = 'SHARD_REHEARSED';

/** HOME, on a home that is neither source nor target: it learns the new place of exactly these keys. */
export const home = ({ id, keyspace, to }: PlacedMove, keys: readonly SlottedKey[]): BoundStatement[] =>
  batch([
    sql`update _shard_keys set at = ${to}, move = ${id} where keyspace = ${keyspace} and move < ${id}
      and key in (select value->>0 from json_each(${JSON.stringify(keys)}))`,
  ]);

/** THAW, on the target: it takes writes. */
export const thaw = (move: PlacedMove): BoundStatement[] =>
  batch([setPhase(move, 'in', 'landed', 'closed'), readPhase(move, 'in')]);

/** TIDY, on the source, which forgets where a range has gone: the catalog knows by now. */
export const tidy = (move: PlacedMove): BoundStatement[] => batch([setPhase(move, 'out', 'released', 'closed')]);

/** ABORT, on the target first: refused by the phase that comes back once it has landed. A late OPEN is then refused as well. */
export const abortTarget = (move: PlacedMove, { cluster }: In): BoundStatement[] =>
  batch([
    checkIdentity(cluster, move.to),
    closedBelowFloor(move, 'in'),
    insertMove(move, 'in', 'aborted'),
    setPhase(move, 'in', 'staging', 'aborted'),
    sql`delete from _shard_stage where move = ${move.id} and ${phaseOf(move, 'in')} = 'aborted'`,
    readPhase(move, 'in'),
  ]);

/** ABORT, on the source, only after the target has said `aborted`. A late FREEZE is then refused. */
export const abortSource = (move: PlacedMove, { cluster }: In): BoundStatement[] =>
  batch([
    checkIdentity(cluster, move.from),
    closedBelowFloor(move, 'out'),
    insertMove(move, 'out', 'closed'),
    setPhase(move, 'out', 'frozen', 'closed'),
    readPhase(move, 'out'),
  ]);

const closedBelowFloor = (move: PlacedMove, side: Side): Sql =>
  sql`select case when ${phaseOf(move, side)} is null and (select floor from _shard_identity) > ${move.id}
    then ${raising("'SHARD_CLOSED'")} end`;

/** COLLECT, on any shard at any time: forgets moves below the floor, all of which are closed. */
export const collect = (cluster: string, shard: string, floor: number): BoundStatement[] => {
  const stale = sql`k.at <> ${shard} and k.move between 1 and (select floor from _shard_identity) - 1
    and not exists (select 1 from _shard_slots s where s.keyspace = k.keyspace and k.slot between s.lo and s.hi)`;
  return batch([
    checkIdentity(cluster, shard),
    sql`update _shard_identity set floor = max(floor, ${floor})`,
    sql`delete from _shard_moves where side in ('in', 'out') and id < (select floor from _shard_identity)`,
    sql`delete from _shard_moves where side = 'note' and expires + 600 < unixepoch()`,
    sql`delete from _shard_move_keys where move < (select floor from _shard_identity)`,
    sql`delete from _shard_stage where move < (select floor from _shard_identity)`,
    sql`delete from _shard_scope where not exists (select 1 from _shard_moves where side = 'note')`,
    sql`update _shard_identity set version = version + 1 where exists (select 1 from _shard_keys k where ${stale})`,
    sql`delete from _shard_keys as k where ${stale}`,
  ]);
};
