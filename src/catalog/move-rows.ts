import type { Job, JobOptions, JobStep, Move } from './journal';
import type { Row } from './program';

/** Of a row `m` of the journal. */
export const MOVE_COLUMNS = `m.*, (select shard from _shard_catalog_slots s
  where s.keyspace = m.keyspace and s.lo <= m.lo order by s.lo desc limit 1) as home`;

export const readMove = (row: Row): Move => ({
  id: Number(row.id),
  job: Number(row.job),
  kind: row.kind as Move['kind'],
  keyspace: String(row.keyspace),
  lo: Number(row.lo),
  hi: Number(row.hi),
  key: textOf(row.key),
  home: String(row.home),
  from: textOf(row.from),
  to: String(row.to),
  weight: Number(row.weight),
  state: row.state as Move['state'],
  phase: String(row.phase),
  rows: Number(row.rows),
  bytes: Number(row.bytes),
  started: Number(row.started),
  finished: row.finished === null ? null : Number(row.finished),
  error: textOf(row.error),
});

export const readJob = (row: Row): Job => ({
  id: Number(row.id),
  kind: row.kind as Job['kind'],
  state: row.state as Job['state'],
  spec: String(row.spec),
  steps: JSON.parse(String(row.steps)) as JobStep[],
  at: Number(row.at),
  cursor: Number(row.cursor),
  place: textOf(row.place),
  options: JSON.parse(String(row.options)) as JobOptions,
  rows: Number(row.rows),
  bytes: Number(row.bytes),
  moves: Number(row.moves),
  totalRows: Number(row.total_rows),
  started: Number(row.started),
  finished: row.finished === null ? null : Number(row.finished),
  error: textOf(row.error),
  leasedUntil: Number(row.leased_until),
});

const textOf = (value: unknown): string | null => (value === null ? null : String(value));
