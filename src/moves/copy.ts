import { MoveRefusedError } from '../errors';
import type { BoundStatement } from '../sql/bound';
import { bound, name, raw, type Sql, sql } from '../sql/tag';
import { quoteName } from '../sql/tokens';
import type { Cargo, CarriedTable } from './carry';
import type { MoveIo, Row } from './io';
import type { PlacedMove } from './move-sql';
import { withKey, withKeyIn } from './of-keys';
import { FIRST_ROWS, isLastPage, nextLimit, type PagedRow, pageStatement, valueAtPlace } from './rows';
import {
  countsByTable,
  keysInScope,
  needFrozen,
  readRecords,
  readScope,
  STAGED_KEYS,
  STAGED_RECORDS,
  stage,
} from './steps';

/** What was copied to the target's stage. */
export interface Copied {
  /** Rows of each table, in the order of the cargo. */
  readonly counts: readonly number[];
  readonly landed: Readonly<Record<string, number>>;
  readonly rows: number;
  /** Characters of JSON. */
  readonly bytes: number;
}

const KEYS_PER_GROUP = 1000;
const RECORDS_PER_PAGE = 5000;
/** A batch to the target carries at most about so many characters. */
const STAGE_CHARS = 2_000_000;

interface Part {
  readonly table: string;
  readonly part: number;
  readonly rows: string;
}

/** Collects what is read into parts, and sends them while the next are being read. */
class Stager {
  #parts: Part[] = [];
  #chars = 0;
  #sending: Promise<unknown> = Promise.resolve();
  readonly #next = new Map<string, number>();

  constructor(readonly send: (parts: readonly Part[]) => Promise<unknown>) {}

  async add(table: string, rows: readonly string[]): Promise<void> {
    if (rows.length === 0) return;
    const part = this.#next.get(table) ?? 0;
    this.#next.set(table, part + 1);
    const text = `[${rows.join(',')}]`;
    this.#parts.push({ table, part, rows: text });
    this.#chars += text.length;
    if (this.#chars >= STAGE_CHARS) await this.flush();
  }

  /** At most one batch is under way. */
  async flush(): Promise<void> {
    await this.#sending;
    const parts = this.#parts;
    this.#parts = [];
    this.#chars = 0;
    if (parts.length > 0) this.#sending = this.send(parts);
    // What fails is met by whoever waits for it next.
    this.#sending.catch(() => {});
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.#sending;
  }
}

/**
 * COPY: everything in the frozen scope, from the source to the stage of this run on the target.
 *
 * @param checkTime Throws when it takes too long; called with what was copied so far.
 */
export async function copyScope(
  io: MoveIo,
  move: PlacedMove,
  cargo: Cargo,
  run: string,
  checkTime: (rows: number, bytes: number) => void,
): Promise<Copied> {
  const stager = new Stager((parts) =>
    io.run(move.to, stage(move, run, parts)).catch((error: unknown) => {
      if (!isTooLong(error)) throw error;
      const tables = cargo.tables.map((table) => table.name).filter((one) => parts.some(({ table }) => table === one));
      throw tooLong(tables, error);
    }),
  );
  const counts = cargo.tables.map(() => 0);
  const limits = cargo.tables.map(() => FIRST_ROWS);
  let bytes = 0;
  for (let after: string | undefined; ; ) {
    const group = await copyGroup(io, move, cargo, after, limits, stager, (table, rows) => {
      counts[table] = (counts[table] ?? 0) + rows.length;
      checkTime(sumOf(counts), bytes);
      return stager.add((cargo.tables[table] as CarriedTable).name, rows);
    });
    bytes += group.bytes;
    if (group.last === undefined) break;
    after = group.last;
  }
  await stager.finish();
  return { counts, landed: countsByTable(cargo, counts), rows: sumOf(counts), bytes };
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

/**
 * The next keys, and their rows in pages; the tables of a page are read together, the first ones with the keys.
 *
 * @param limits How many rows a page of each table looks at; kept for the keys that come next.
 * @returns Characters of all rows, and the last key where more may follow.
 */
async function copyGroup(
  io: MoveIo,
  move: PlacedMove,
  { tables }: Cargo,
  after: string | undefined,
  limits: number[],
  stager: Stager,
  add: (table: number, rows: readonly string[]) => Promise<void>,
): Promise<{ readonly bytes: number; readonly last: string | undefined }> {
  const keys = keysInScope(move, after, KEYS_PER_GROUP);
  let only = move.key;
  const which = (table: CarriedTable): Sql => (only === null ? withKeyIn(table, keys) : withKey(table, only));
  const first = [
    readScope(move, after, KEYS_PER_GROUP),
    ...(after === undefined && move.kind === 'slots' ? [readRecords(move, undefined, RECORDS_PER_PAGE)] : []),
  ];
  let last: string | undefined;
  let bytes = 0;
  let left = tables.map((table, at) => ({ table, at, after: undefined as string | undefined }));
  for (let round = 0; round === 0 || left.length > 0; round++) {
    const before = round === 0 ? first : [];
    const asked = left.map(({ table, at, after: row }) => {
      const limit = limits[at] as number;
      return { table, limit, statement: pageStatement(table, which(table), row, limit) };
    });
    const answers = await readPages(io, move, before, asked);
    if (round === 0) {
      const [found = [], records] = answers;
      await stager.add(
        STAGED_KEYS,
        found.map(({ key, slot }) => JSON.stringify([String(key), Number(slot)])),
      );
      if (before.length > 1) await copyRecords(io, move, stager, records ?? []);
      if (found.length === 1) only = String(found[0]?.key);
      last = found.length < KEYS_PER_GROUP ? undefined : String(found.at(-1)?.key);
    }
    const next: typeof left = [];
    for (const [i, one] of left.entries()) {
      const { limit, statement } = asked[i] as (typeof asked)[number];
      const page = (answers[before.length + i] ?? []) as unknown as PagedRow[];
      checkNumbers(one.table, page);
      await checkText(io, move, { table: one.table, statement }, page);
      bytes += page.reduce((sum, { row }) => sum + row.length, 0);
      await add(
        one.at,
        page.map(({ row }) => row),
      );
      const end = page.at(-1);
      if (!end) continue;
      limits[one.at] = nextLimit(page, limit);
      if (!isLastPage(page, limit)) next.push({ ...one, after: end.at });
    }
    left = next;
  }
  return { bytes, last };
}

interface Page {
  readonly table: CarriedTable;
  readonly statement: BoundStatement;
}

/** D1 does not say what is too long: then each table is read by itself. */
async function readPages(
  io: MoveIo,
  move: PlacedMove,
  before: readonly BoundStatement[],
  pages: readonly Page[],
): Promise<Row[][]> {
  const read = async (wanted: readonly Page[]) => {
    const [, ...answers] = await io.run(move.from, [
      needFrozen(move),
      ...before,
      ...wanted.map(({ statement }) => statement),
    ]);
    return answers;
  };
  try {
    return await read(pages);
  } catch (error) {
    if (!isTooLong(error)) throw error;
    for (const page of pages) {
      await read([page]).catch((cause: unknown) => {
        throw tooLong([page.table.name], cause);
      });
    }
    throw error;
  }
}

const isTooLong = (error: unknown): boolean => error instanceof Error && error.message.includes('SQLITE_TOOBIG');

const tooLong = (tables: readonly string[], cause: unknown): MoveRefusedError =>
  new MoveRefusedError(
    `A row of ${tables.join(' or ')} is too long to be moved: it travels as JSON, its blobs as hex digits, and that is longer than D1 takes.`,
    { tables, remedy: 'Split it into several rows, or keep what is long elsewhere.', cause },
  );

function checkNumbers(table: CarriedTable, page: readonly PagedRow[]): void {
  const lossy = page.find((row) => row.lossy === 1);
  if (!lossy) return;
  throw new MoveRefusedError(`A row of ${table.name} holds a number that would change on the way: ${lossy.row}.`, {
    tables: [table.name],
  });
}

const REPLACEMENT = '\ufffd';

/** Text that is no UTF-8 is changed when it leaves the database: a replacement character may be one, or stand for it. */
async function checkText(
  io: MoveIo,
  move: PlacedMove,
  { table, statement }: Page,
  page: readonly PagedRow[],
): Promise<void> {
  if (!page.some(({ row }) => row.includes(REPLACEMENT))) return;
  const [rows = []] = await io.run(move.from, [
    { sql: `select hex("row") as h from (${statement.sql})`, params: statement.params },
  ]);
  for (const { h } of rows) {
    try {
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        Uint8Array.from(String(h).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)),
      );
    } catch (cause) {
      throw new MoveRefusedError(`A row of ${table.name} holds text that is no UTF-8 and would change on the way.`, {
        tables: [table.name],
        remedy: 'Store it as a blob.',
        cause,
      });
    }
  }
}

/** @param first The first page of them. */
async function copyRecords(io: MoveIo, move: PlacedMove, stager: Stager, first: readonly Row[]): Promise<void> {
  for (let rows = first; ; ) {
    await stager.add(
      STAGED_RECORDS,
      rows.map((row) => String(row.row)),
    );
    if (rows.length < RECORDS_PER_PAGE) return;
    const after = String(rows.at(-1)?.key);
    [, rows = []] = await io.run(move.from, [needFrozen(move), readRecords(move, after, RECORDS_PER_PAGE)]);
  }
}

/** The first row of the target that is in the way of a staged one: the columns that must be unique, and their values. */
export async function findConflict(
  io: MoveIo,
  move: PlacedMove,
  table: CarriedTable,
  run: string,
): Promise<{ readonly columns: readonly string[]; readonly values: string } | undefined> {
  for (const columns of table.uniques) {
    const places = columns.map((column) => table.columns.indexOf(column));
    if (places.includes(-1)) continue;
    const values = raw(places.map((at, i) => `${valueAtPlace(table.columns, at)} as c${i}`).join(', '));
    const same = raw(columns.map((column, i) => `t.${quoteName(column)} = s.c${i}`).join(' and '));
    // JSON has no blobs, and this is for people: as SQL writes them.
    const found = raw(
      columns.map((_, i) => `case typeof(s.c${i}) when 'blob' then quote(s.c${i}) else s.c${i} end`).join(', '),
    );
    const [rows = []] = await io.run(move.to, [
      bound(sql`select json_array(${found}) as found from (select ${values} from (
        select j.value from _shard_stage s, json_each(s.rows) j
          where s.move = ${move.id} and s.run = ${run} and s.tbl = ${table.name})) s
        join ${name(table.name)} t on ${same} limit 1`),
    ]);
    const [row] = rows;
    if (row) return { columns, values: String(row.found) };
  }
  return undefined;
}
