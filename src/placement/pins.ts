import type { BoundStatement } from '../sql/bound';
import { BUSY, raise } from './guard';

/** A write to many shards holds moves off by a pin on each of them, from before its first change until after its last. */
export interface Pin {
  readonly id: number;
  /**
   * The same write everywhere, to tables that are whole on every shard: two of them must not run in different orders on
   * different shards, so that only one at a time may hold a pin.
   */
  readonly exclusive: boolean;
}

/** A D1 batch ends after 30 s, so a pin that old belongs to a writer that has died. */
const PIN_SECONDS = 90;

const live = "side = 'pin' and expires >= unixepoch()";

/** A shard on which rows are moved, or the reference tables copied, takes no pins; nor one on which a move waits for its turn. */
const HELD = `exists (select 1 from _shard_moves where phase in ('staging', 'sealed', 'frozen', 'landed')
  or side in ('copy', 'turn') and expires >= unixepoch())`;

/** Places a pin; SHARD_BUSY while a move is under way here, or another exclusive pin is held. */
export function pinStatements({ id, exclusive }: Pin): BoundStatement[] {
  const other = exclusive
    ? ` or exists (select 1 from _shard_moves where ${live} and phase = 'lock' and id <> cast(?1 as integer))`
    : '';
  return [
    {
      sql: `select case when ${HELD}${other} then ${BUSY} end`,
      params: exclusive ? [String(id)] : [],
    },
    // Whoever copied the reference tables and is late must not land what is older than this write.
    { sql: `delete from _shard_moves where side = 'copy' and expires < unixepoch()`, params: [] },
    {
      sql: `insert into _shard_moves (id, side, phase, expires) values (cast(?1 as integer), 'pin', '${exclusive ? 'lock' : 'pin'}', unixepoch() + ${PIN_SECONDS}) on conflict do nothing`,
      params: [String(id)],
    },
  ];
}

/** The write itself, in the batch that also gives up the pin; SHARD_UNPINNED when it has expired and was taken away. */
export function pinnedStatements(pin: Pin, statements: readonly BoundStatement[]): BoundStatement[] {
  const check = {
    sql: `select case when not exists (select 1 from _shard_moves where id = cast(?1 as integer) and ${live}) then ${raise("'SHARD_UNPINNED'")} end`,
    params: [String(pin.id)],
  };
  return [check, ...statements, unpinStatement(pin)];
}

export const unpinStatement = ({ id }: Pin): BoundStatement => ({
  sql: "delete from _shard_moves where id = cast(?1 as integer) and side = 'pin'",
  params: [String(id)],
});
