import { slotOf } from '../placement/slots';
import type { BoundStatement } from '../sql/bound';
import { bound, name, type Sql, sql } from '../sql/tag';
import type { Cargo } from './carry';
import { type MoveIo, raisedBy } from './io';
import { checkIdentity, raising } from './move-sql';

/** Slots of one shard whose keys are listed, both ends included. */
export interface NotedRange {
  readonly shard: string;
  readonly keyspace: string;
  readonly lo: number;
  readonly hi: number;
}

/** For how long a list is good after it was last used. A write to these slots notes its key meanwhile. */
const NOTE_SECONDS = 600;
const KEYS_PER_PAGE = 5000;

/** What was listed: with another set of tables the list has to be made anew. */
const tablesText = ({ tables }: Cargo): string => tables.map((table) => `${table.name}.${table.key}`).join('\n');

/**
 * NOTE and SCAN: lists the keys of slots that are about to leave a shard, without holding anybody up. From NOTE on, every write
 * notes its keys; the scan finds those that were there before. Goes on where another mover has stopped.
 *
 * @returns False when the shard does not own all of the slots.
 */
export async function noteKeys(io: MoveIo, range: NotedRange, cargo: Cargo): Promise<boolean> {
  for (;;) {
    const note = await findNote(io, range, cargo);
    if (!note) return false;
    if (note.phase === 'noted') return true;
    await scan(io, range, cargo, note);
  }
}

interface Note {
  readonly id: number;
  readonly phase: string;
  /** How far the scan has come: `[place of the table, last key]`. */
  readonly cursor: string;
}

async function findNote(io: MoveIo, range: NotedRange, cargo: Cargo): Promise<Note | undefined> {
  const { shard, keyspace, lo, hi } = range;
  const tables = tablesText(cargo);
  const covers = sql`side = 'note' and keyspace = ${keyspace} and lo <= ${lo} and hi >= ${hi} and key = ${tables}
    and expires > unixepoch()`;
  const owned = sql`(select coalesce(sum(min(hi, ${hi}) - max(lo, ${lo}) + 1), 0) from _shard_slots
    where keyspace = ${keyspace} and lo <= ${hi} and hi >= ${lo})`;
  const statements = [
    checkIdentity(io.cluster, shard),
    sql`select case when ${owned} <> ${hi - lo + 1} then ${raising("'SHARD_NOT_OWNER'")} end`,
    // Each time that this is sent it is another list: a copy that comes late must not pass for the one that was finished.
    // Never longer than it was true: one that has expired stays so.
    sql`update _shard_moves set expires = unixepoch() + ${NOTE_SECONDS} where ${covers}`,
    sql`insert into _shard_moves (id, side, kind, keyspace, lo, hi, key, peer, phase, expires)
      select abs(random() % ${2 ** 52}), 'note', 'slots', ${keyspace}, ${lo}, ${hi}, ${tables}, '[0,null]', 'noting', unixepoch() + ${NOTE_SECONDS}
      where not exists (select 1 from _shard_moves where ${covers})`,
    sql`select id, phase, peer from _shard_moves where ${covers} order by phase desc, id limit 1`,
  ];
  try {
    const rows = (await io.run(shard, statements.map(bound))).at(-1);
    const row = rows?.[0];
    return row && { id: Number(row.id), phase: String(row.phase), cursor: String(row.peer) };
  } catch (error) {
    if (raisedBy(error)?.kind === 'NOT_OWNER') return undefined;
    throw error;
  }
}

/** Pages of different keys in order. A key never changes, so that one which is there throughout is met. */
async function scan(io: MoveIo, range: NotedRange, { tables }: Cargo, note: Note): Promise<void> {
  const { shard, keyspace, lo, hi } = range;
  let cursor = note.cursor;
  for (;;) {
    const [at, after] = JSON.parse(cursor) as [number, string | null];
    const table = tables[at];
    const own = sql`id = ${note.id} and side = 'note' and phase = 'noting' and peer = ${cursor}`;
    if (!table) {
      await io.run(shard, [bound(sql`update _shard_moves set phase = 'noted' where ${own}`)]);
      return;
    }
    const rows = await readPage(io, shard, { name: table.name, key: table.key as string }, after);
    const last = rows.at(-1);
    const found = rows.flatMap((key) => {
      const slot = slotOf(key);
      return lo <= slot && slot <= hi ? [[key, slot]] : [];
    });
    cursor = JSON.stringify(last === undefined || rows.length < KEYS_PER_PAGE ? [at + 1, null] : [at, last]);
    await io.run(shard, [
      bound(sql`insert into _shard_scope (keyspace, key, slot)
        select ${keyspace}, value->>0, value->>1 from json_each(${JSON.stringify(found)})
        where exists (select 1 from _shard_moves where id = ${note.id} and side = 'note') on conflict do nothing`),
      bound(sql`update _shard_moves set peer = ${cursor} where ${own}`),
    ]);
  }
}

async function readPage(
  io: MoveIo,
  shard: string,
  table: { readonly name: string; readonly key: string },
  after: string | null,
): Promise<string[]> {
  const key = name(table.key);
  const beyond: Sql = after === null ? sql`${key} is not null` : sql`${key} > ${after}`;
  const page = sql`select cast(k as text) as k from (
    select distinct ${key} as k from ${name(table.name)} where ${beyond} order by ${key} limit ${KEYS_PER_PAGE})`;
  const [rows = []] = await io.run(shard, [bound(page)]);
  return rows.map((row) => String(row.k));
}

/** The list is no longer needed: writes stop noting. */
export const unnote = ({ keyspace, lo, hi }: NotedRange): BoundStatement[] => [
  bound(sql`delete from _shard_moves where side = 'note' and keyspace = ${keyspace} and lo >= ${lo} and hi <= ${hi}`),
  bound(sql`delete from _shard_scope where keyspace = ${keyspace} and slot between ${lo} and ${hi}
    and not exists (select 1 from _shard_moves where side = 'note' and keyspace = ${keyspace} and lo <= ${hi} and hi >= ${lo})`),
];

/** Rows of each listed slot, in all tables together. */
export async function rowsPerSlot(io: MoveIo, range: NotedRange, { tables }: Cargo): Promise<Map<number, number>> {
  const { shard, keyspace, lo, hi } = range;
  const counts = new Map<number, number>();
  for (const table of tables) {
    const [rows = []] = await io.run(shard, [
      bound(sql`select c.slot, count(*) as n from _shard_scope c cross join ${name(table.name)} t on t.${name(table.key as string)} = c.key
        where c.keyspace = ${keyspace} and c.slot between ${lo} and ${hi} group by c.slot`),
    ]);
    for (const row of rows) counts.set(Number(row.slot), (counts.get(Number(row.slot)) ?? 0) + Number(row.n));
  }
  return counts;
}
