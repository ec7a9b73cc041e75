import type { Move } from '../catalog/journal';
import { raise } from '../placement/guard';
import { raw, type Sql, sql } from '../sql/tag';

/** The side of a move that a shard is on. */
export type Side = 'in' | 'out';

/** How far a move has come on one shard; null where the shard does not know of it. */
export type Phase = 'staging' | 'landed' | 'frozen' | 'released' | 'closed' | 'aborted' | null;

/** A move whose source is known. */
export type PlacedMove = Move & { readonly from: string };

export const raising = (text: string): Sql => raw(raise(text));

export const phaseOf = ({ id }: Move, side: Side): Sql =>
  sql`(select phase from _shard_moves where id = ${id} and side = ${side})`;

export const readPhase = (move: Move, side: Side): Sql => sql`select ${phaseOf(move, side)} as phase`;

/** The batch is rolled back unless the move is in this phase here. */
export const need = (move: Move, side: Side, phase: Phase): Sql =>
  sql`select case when ${phaseOf(move, side)} is not ${phase}
    then ${raising("'SHARD_PHASE ' || coalesce(phase, '-')")} end from (select ${phaseOf(move, side)} as phase)`;

export const setPhase = ({ id }: Move, side: Side, from: Phase, to: Phase): Sql =>
  sql`update _shard_moves set phase = ${to} where id = ${id} and side = ${side} and phase = ${from}`;

export const insertMove = (move: PlacedMove, side: Side, phase: Phase): Sql => {
  const { id, kind, keyspace, lo, hi, key, from, to, weight } = move;
  return sql`insert into _shard_moves (id, side, kind, keyspace, lo, hi, key, peer, weight, phase)
    values (${id}, ${side}, ${kind}, ${keyspace}, ${lo}, ${hi}, ${key}, ${side === 'in' ? from : to}, ${weight}, ${phase})
    on conflict do nothing`;
};

/** Of `_shard_identity`: the digest with the move's weight in it, or out of it again. SQLite has no XOR. */
export const weigh = ({ weight }: Move): Sql => sql`digest = (digest | ${weight}) - (digest & ${weight})`;

export const checkIdentity = (cluster: string, shard: string): Sql =>
  sql`select case when i.name is not ${shard} or i.cluster is not ${cluster}
    then ${raising("'SHARD_IDENTITY ' || hex(json_array(i.name, i.cluster))")} end
    from (select 1) left join _shard_identity i on i.one = 1`;

/** The keys that a move takes from its source, frozen there. A key with a record of its own stays when its slot moves. */
export const scopeOf = ({ id, kind, keyspace, lo, hi }: Move): Sql =>
  kind === 'keys'
    ? sql`(select key from _shard_move_keys where move = ${id})`
    : sql`(select c.key from _shard_scope c where c.keyspace = ${keyspace} and c.slot between ${lo} and ${hi}
        and not exists (select 1 from _shard_keys k where k.keyspace = c.keyspace and k.key = c.key))`;

/** Rows of `_shard_keys` in the slots of a move. */
export const recordsIn = ({ keyspace, lo, hi }: Move): Sql =>
  sql`keyspace = ${keyspace} and slot between ${lo} and ${hi}`;

/** Takes the slots of a move out of the shard's ranges. */
export const cutRange = ({ keyspace, lo, hi }: Move): Sql[] => [
  sql`insert into _shard_slots (keyspace, lo, hi) select keyspace, ${hi + 1}, hi from _shard_slots
    where keyspace = ${keyspace} and lo <= ${hi} and hi > ${hi}`,
  sql`update _shard_slots set hi = ${lo - 1} where keyspace = ${keyspace} and lo < ${lo} and hi >= ${lo}`,
  sql`delete from _shard_slots where keyspace = ${keyspace} and lo between ${lo} and ${hi}`,
];

/** Are all slots of the move in the shard's ranges? */
export const ownsRange = ({ keyspace, lo, hi }: Move): Sql =>
  sql`(select coalesce(sum(min(hi, ${hi}) - max(lo, ${lo}) + 1), 0) = ${hi - lo + 1} from _shard_slots
    where keyspace = ${keyspace} and lo <= ${hi} and hi >= ${lo})`;
