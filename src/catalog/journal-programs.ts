import type { ShardInfo } from './catalog';
import { jobOperations } from './job-programs';
import type { Journaled, Move, MoveJournal, MoveRequest } from './journal';
import { MOVE_COLUMNS, readMove } from './move-rows';
import type { Operations } from './operations';
import { type Program, type Row, type Statement, statement, textOf } from './program';
import { shardOperations } from './shard-programs';
import { NOW_MS } from './tables';
import { changeProgram } from './view';

const MOVE = `select ${MOVE_COLUMNS} from _shard_catalog_moves m where m.id = cast(?1 as integer)`;
const readOne = (results: readonly (readonly Row[])[]): Move | undefined => {
  const row = results.at(-1)?.[0];
  return row && readMove(row);
};

/** The ranges of ?1 (keyspace) that meet the slots ?2 to ?3. */
const MEETS = 'keyspace = ?1 and lo <= cast(?3 as integer) and hi >= cast(?2 as integer)';

function journalProgram({ request, job, kind, keyspace, lo, hi, key, from, to }: MoveRequest): Program<Journaled> {
  const range = [keyspace, String(lo), String(hi)];
  return {
    statements: [
      statement('delete from _shard_catalog_holds where until < unixepoch()'),
      {
        sql: `insert into _shard_catalog_moves (keyspace, lo, hi, request, job, kind, key, "to", "from", weight, started)
          select ?1, cast(?2 as integer), cast(?3 as integer), ?4, cast(?5 as integer), ?6, ?7, ?8,
            case ?6 when 'slots' then owner else ?9 end, max(random() & ${2 ** 52 - 1}, 1), ${NOW_MS}
          from (select min(shard) as owner, count(distinct shard) as owners from _shard_catalog_slots where ${MEETS})
          where owners = 1 and (?6 = 'keys' or (owner <> ?8 and owner = coalesce(?9, owner)))
            and not exists (select 1 from _shard_catalog_holds)
            and not exists (select 1 from _shard_catalog_adoptions where keyspace = ?1 and done = 0)
            and not exists (select 1 from _shard_catalog_moves where state = 'open' and ${MEETS})
            and 'active' is (select state from _shard_catalog_shards where name = ?8)
          on conflict do nothing`,
        params: [...range, request, String(job), kind, key ?? null, to, from ?? null],
      },
      statement(`select ${MOVE_COLUMNS} from _shard_catalog_moves m where m.request = ?1`, request),
      statement(`select ${MOVE_COLUMNS} from _shard_catalog_moves m where m.state = 'open' and ${MEETS}`, ...range),
      statement('select by from _shard_catalog_holds'),
      statement(
        'select 1 as adopting from _shard_catalog_adoptions where keyspace = ?1 and done = 0 limit 1',
        keyspace,
      ),
      statement(`select (select state from _shard_catalog_shards where name = ?1) as state`, to),
      statement(
        `select count(distinct shard) as owners, min(shard) as owner from _shard_catalog_slots where ${MEETS}`,
        ...range,
      ),
    ],
    read: (results: readonly (readonly Row[])[]): Journaled => {
      const [, , [made] = [], [locked] = [], [held] = [], [adopting] = [], [target] = [], [owned] = []] = results;
      if (made) return { move: readMove(made) };
      if (held) return { refused: 'held', by: String(held.by) };
      if (adopting) return { refused: 'adopting' };
      if (target?.state !== 'active')
        return { refused: 'target', state: (target?.state ?? undefined) as ShardInfo['state'] | undefined };
      if (locked) return { refused: 'locked', by: readMove(locked) };
      if (owned?.owners !== 1) return { refused: 'split' };
      return { refused: owned.owner === to ? 'same' : 'owner' };
    },
  };
}

const OPEN_SLOTS = `(select * from _shard_catalog_moves where id = cast(?1 as integer) and state = 'open' and kind = 'slots')`;

/** CLOSE: cuts the slots out of the ranges that have them, gives them to the target, and joins neighbours of one owner. */
const CLOSE: readonly string[] = [
  `insert into _shard_catalog_slots (keyspace, lo, hi, shard)
    select s.keyspace, m.hi + 1, s.hi, s.shard from ${OPEN_SLOTS} m join _shard_catalog_slots s
      on s.keyspace = m.keyspace and s.lo <= m.hi and s.hi > m.hi`,
  `update _shard_catalog_slots as s set hi = m.lo - 1 from ${OPEN_SLOTS} m
    where s.keyspace = m.keyspace and s.lo < m.lo and s.hi >= m.lo`,
  `delete from _shard_catalog_slots as s where exists (
    select 1 from ${OPEN_SLOTS} m where s.keyspace = m.keyspace and s.lo between m.lo and m.hi)`,
  `insert into _shard_catalog_slots (keyspace, lo, hi, shard) select keyspace, lo, hi, "to" from ${OPEN_SLOTS}`,
  `update _shard_catalog_slots as s set hi = island.hi
    from (select min(lo) as lo, max(hi) as hi from (
      select lo, hi, sum(begins) over (order by lo) as island from (
        select lo, hi, shard is not lag(shard) over (order by lo) as begins from _shard_catalog_slots
        where keyspace = (select keyspace from ${OPEN_SLOTS}))) group by island) island
    where s.keyspace = (select keyspace from ${OPEN_SLOTS}) and s.lo = island.lo and s.hi <> island.hi`,
  `delete from _shard_catalog_slots as s where s.keyspace = (select keyspace from ${OPEN_SLOTS})
    and exists (select 1 from _shard_catalog_slots b where b.keyspace = s.keyspace and b.lo < s.lo and b.hi >= s.hi)`,
  // The place of a key is in no map: only slots make a new epoch.
  `update _shard_catalog_cluster set epoch = epoch + 1 where exists (select 1 from ${OPEN_SLOTS})`,
];

const CLOSED = `update _shard_catalog_moves set state = 'done', phase = 'close', finished = ${NOW_MS}, error = null,
    rows = coalesce(cast(?2 as integer), rows), bytes = coalesce(cast(?3 as integer), bytes)
  where id = cast(?1 as integer) and state = 'open'`;

const moveList = (finished: number): Statement =>
  statement(
    `select ${MOVE_COLUMNS} from _shard_catalog_moves m where m.state = 'open' or m.id in (
      select id from _shard_catalog_moves where state <> 'open' order by id desc limit cast(?1 as integer))
      order by m.id desc`,
    String(finished),
  );

export const journalOperations: Operations<MoveJournal> = {
  journal: journalProgram,
  source: (move, from) => ({
    statements: [
      statement(
        `update _shard_catalog_moves set "from" = ?2 where id = cast(?1 as integer) and state = 'open' and "from" is null`,
        String(move),
        from,
      ),
      statement(MOVE, String(move)),
    ],
    read: readOne,
  }),
  progress: (move, { phase, rows, bytes, error }) => ({
    statements: [
      statement(
        `update _shard_catalog_moves set phase = coalesce(?2, phase), rows = coalesce(cast(?3 as integer), rows),
            bytes = coalesce(cast(?4 as integer), bytes), error = coalesce(?5, error)
          where id = cast(?1 as integer) and state = 'open'`,
        String(move),
        textOf(phase),
        textOf(rows),
        textOf(bytes),
        textOf(error),
      ),
    ],
    read: () => undefined,
  }),
  close: (move, size) =>
    changeProgram([
      ...CLOSE.map((sql) => statement(sql, String(move))),
      statement(CLOSED, String(move), textOf(size?.rows), textOf(size?.bytes)),
    ]),
  abort: (move, error) => ({
    statements: [
      statement(
        `update _shard_catalog_moves set state = 'aborted', finished = ${NOW_MS}, error = ?2
          where id = cast(?1 as integer) and state = 'open'`,
        String(move),
        error,
      ),
      statement(MOVE, String(move)),
    ],
    read: readOne,
  }),
  move: (id) => ({ statements: [statement(MOVE, String(id))], read: readOne, whenEmpty: { answer: undefined } }),
  moves: (finished) => ({
    statements: [moveList(finished)],
    read: ([rows = []]) => rows.map(readMove),
    whenEmpty: { answer: [] },
  }),
  floor: () => ({
    statements: [
      statement(`select coalesce((select min(id) from _shard_catalog_moves where state = 'open'),
        (select seq + 1 from sqlite_sequence where name = '_shard_catalog_moves'), 0) as floor`),
    ],
    read: ([rows = []]) => Number(rows[0]?.floor ?? 0),
    whenEmpty: { answer: 0 },
  }),
  holdAlone: (by, seconds) => ({
    statements: [
      statement('delete from _shard_catalog_holds where until < unixepoch()'),
      statement(
        `insert into _shard_catalog_holds (by, until) select ?1, unixepoch() + cast(?2 as integer)
          where not exists (select 1 from _shard_catalog_moves where state = 'open')
            and not exists (select 1 from _shard_catalog_holds where by <> ?1)
          on conflict do update set until = excluded.until`,
        by,
        String(seconds),
      ),
      statement(`select ${MOVE_COLUMNS} from _shard_catalog_moves m where m.state = 'open'`),
      statement('select by from _shard_catalog_holds where by <> ?1 limit 1', by),
    ],
    read: ([, , moves = [], others = []]) => {
      const [other] = others;
      return { moves: moves.map(readMove), heldBy: other === undefined ? null : String(other.by) };
    },
  }),
  releaseMoves: (by) => ({
    statements: [statement('delete from _shard_catalog_holds where by = ?1', by)],
    read: () => undefined,
  }),
  ...jobOperations,
  ...shardOperations,
};
