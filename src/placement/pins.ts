import type { BoundStatement } from '../sql/bound';
import { BUSY, raise } from './guard';

/** A write to many shards holds moves off by a pin on each of them, from before its first change until after its last. */
export interface Pin {
  readonly id: number;
  /**
   * The catalog has the write in its journal, and `id` is what it has there: the pin stays until the write was applied here, by
   * whomever, or was given up. Otherwise it expires, as nobody but its writer can take it away.
   */
  readonly journaled: boolean;
}

/** A D1 batch ends after 30 s, so a pin that old belongs to a writer that has died. */
const PIN_SECONDS = 90;
const NEVER = Number.MAX_SAFE_INTEGER;

/** A shard on which rows are moved, or the reference tables copied, takes no pins; nor one on which a move waits for its turn. */
const HELD = `exists (select 1 from _shard_moves where phase in ('staging', 'sealed', 'frozen', 'landed')
  or side in ('copy', 'turn') and expires >= unixepoch())`;

/**
 * The rows of journaled writes: side `pin` while one is to be applied here, side `redo` after that. One of side `redo` bars its
 * own write and all before it, so that a pin which arrives late is none. Those before it can go.
 */
const BARRED = `exists (select 1 from _shard_moves where side = 'redo' and id >= cast(?1 as integer))`;

/** Places a pin; SHARD_BUSY while a move is under way here, SHARD_UNPINNED for a write that has been given up. */
export function pinStatements({ id, journaled }: Pin): BoundStatement[] {
  const params = [String(id)];
  const barred = journaled ? `when ${BARRED} then ${raise("'SHARD_UNPINNED'")}` : '';
  const expires = journaled ? NEVER : `unixepoch() + ${PIN_SECONDS}`;
  return [
    { sql: `select case when ${HELD} then ${BUSY} ${barred} end`, params: journaled ? params : [] },
    // Whoever copied the reference tables and is late must not land what is older than this write.
    { sql: `delete from _shard_moves where side = 'copy' and expires < unixepoch()`, params: [] },
    {
      sql: `insert into _shard_moves (id, side, phase, expires) values (cast(?1 as integer), 'pin', 'pin', ${expires}) on conflict do nothing`,
      params,
    },
  ];
}

/** The write itself, in the batch that also gives up the pin; SHARD_UNPINNED when there is none: it is applied, or given up. */
export function pinnedStatements(pin: Pin, statements: readonly BoundStatement[]): BoundStatement[] {
  const check = {
    sql: `select case when not exists (select 1 from _shard_moves where id = cast(?1 as integer) and side = 'pin' and expires >= unixepoch()) then ${raise("'SHARD_UNPINNED'")} end`,
    params: [String(pin.id)],
  };
  return [check, ...statements, ...unpinStatements(pin)];
}

/** Takes the pin away; a journaled write can get none any more. */
export function unpinStatements({ id, journaled }: Pin): BoundStatement[] {
  const params = [String(id)];
  const unpin = { sql: "delete from _shard_moves where id = cast(?1 as integer) and side = 'pin'", params };
  if (!journaled) return [unpin];
  return [
    unpin,
    { sql: "delete from _shard_moves where id < cast(?1 as integer) and side = 'redo'", params },
    {
      sql: `insert into _shard_moves (id, side, phase) select cast(?1 as integer), 'redo', 'closed' where not ${BARRED}`,
      params,
    },
  ];
}
