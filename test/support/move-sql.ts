import { raw, type Sql, sql } from './sql';

/** A move as the catalog's journal has it. */
export interface Journaled {
  readonly id: number;
  /** What it adds to the digests of source and target. */
  readonly weight: number;
  readonly keyspace: string;
  /** Null for a move of slots. A key's move locks its slot: both ends are that. */
  readonly key: string | null;
  readonly lo: number;
  readonly hi: number;
  readonly from: string;
  readonly to: string;
  /** The owner of the slots. */
  readonly home: string;
}

/** The side of a move that a shard is on. */
export type Side = 'in' | 'out';

/** An error that carries a text and rolls the batch back. */
export const raise = (text: string): Sql => raw(`json_extract('{}', '${text}')`);

/** How far the move is on a shard; null where it is not known. */
export const phaseOf = ({ id }: Journaled, side: Side): Sql =>
  sql`(select phase from _shard_moves where id = ${id} and side = ${side})`;

/** On both sides the keys of a move of keys are listed. */
export const listKey = ({ id, key }: Journaled): Sql[] =>
  key === null ? [] : [sql`insert into _shard_move_keys (move, key) values (${id}, ${key}) on conflict do nothing`];

export const need = (move: Journaled, side: Side, phase: string): Sql =>
  sql`select case when ${phaseOf(move, side)} is not ${phase} then ${raise('SHARD_PHASE')} end`;

export const setPhase = ({ id }: Journaled, side: Side, from: string, to: string): Sql =>
  sql`update _shard_moves set phase = ${to} where id = ${id} and side = ${side} and phase = ${from}`;

export const setState = ({ id }: Journaled, state: 'done' | 'aborted'): Sql =>
  sql`update _shard_catalog_moves set state = ${state}, finished = unixepoch() where id = ${id}`;

/** Of `_shard_identity`: XOR, which SQLite does not have. */
export const weigh = ({ weight }: Journaled): Sql => sql`digest = (digest | ${weight}) - (digest & ${weight})`;

export const insertMove = ({ id, keyspace, lo, hi, key, from, to, weight }: Journaled, side: Side, phase: string) =>
  sql`insert into _shard_moves (id, side, kind, keyspace, lo, hi, key, peer, weight, phase)
    values (${id}, ${side}, ${key === null ? 'slots' : 'keys'}, ${keyspace}, ${lo}, ${hi}, ${key}, ${side === 'in' ? from : to}, ${weight}, ${phase})
    on conflict do nothing`;

/** On source and target alike: the key lives on the target. */
export const pointAtTarget = ({ id, keyspace, key, lo, to }: Journaled): Sql =>
  sql`insert into _shard_keys (keyspace, key, slot, at, move) values (${keyspace}, ${key}, ${lo}, ${to}, ${id})
    on conflict do update set at = excluded.at, move = excluded.move`;

/** Takes the slots out of the ranges of a shard, or of the catalog. `others`: the columns besides `lo` and `hi`. */
export function cutRange({ keyspace, lo, hi }: Journaled, table: string, others: string): Sql[] {
  const [ranges, same] = [raw(table), raw(others)];
  return [
    sql`insert into ${ranges} (lo, hi, ${same}) select ${hi + 1}, hi, ${same} from ${ranges}
      where keyspace = ${keyspace} and lo <= ${hi} and hi > ${hi}`,
    sql`update ${ranges} set hi = ${lo - 1} where keyspace = ${keyspace} and lo < ${lo} and hi >= ${lo}`,
    sql`delete from ${ranges} where keyspace = ${keyspace} and lo between ${lo} and ${hi}`,
  ];
}

/** Rows of texts, integers and nulls. */
export function insertRows(table: string, rows: readonly Readonly<Record<string, unknown>>[]): Sql[] {
  const columns = Object.keys(rows[0] ?? {});
  if (columns.length === 0) return [];
  const values = raw(columns.map((_, i) => `value->>${i}`).join(', '));
  const list = JSON.stringify(rows.map((row) => Object.values(row)));
  return [sql`insert into ${raw(table)} (${raw(columns.join(', '))}) select ${values} from json_each(${list})`];
}
