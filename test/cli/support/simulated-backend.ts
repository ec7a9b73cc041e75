import { randomUUID } from 'node:crypto';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { type ApiDatabase, type ApiResult, type ApiStatement, type Backend, SqlFailure } from './backend.ts';

/** SQLite's result codes by number, as D1 names them: https://www.sqlite.org/rescode.html */
const CODES: Readonly<Record<number, string>> = {
  1: 'SQLITE_ERROR',
  18: 'SQLITE_TOOBIG',
  19: 'SQLITE_CONSTRAINT',
  20: 'SQLITE_MISMATCH',
  25: 'SQLITE_RANGE',
};

const EXTENDED: Readonly<Record<number, string>> = {
  275: 'SQLITE_CONSTRAINT_CHECK',
  787: 'SQLITE_CONSTRAINT_FOREIGNKEY',
  1299: 'SQLITE_CONSTRAINT_NOTNULL',
  1555: 'SQLITE_CONSTRAINT_PRIMARYKEY',
  1811: 'SQLITE_CONSTRAINT_TRIGGER',
  2067: 'SQLITE_CONSTRAINT_UNIQUE',
  2579: 'SQLITE_CONSTRAINT_ROWID',
  3091: 'SQLITE_CONSTRAINT_DATATYPE',
};
const OUT_OF_RANGE = 25;
const WRONG_NUMBER = 'Wrong number of parameter bindings for SQL query.';

/** Databases in memory, made when first asked: a thousand of them are no effort. */
export class SimulatedBackend implements Backend {
  readonly #databases: ApiDatabase[];
  readonly #open = new Map<string, DatabaseSync>();

  /** @param databases how many; they are called `db-0`, `db-1`, ... */
  constructor(databases: number) {
    this.#databases = Array.from({ length: databases }, (_, index) => ({ uuid: randomUUID(), name: `db-${index}` }));
  }

  list(): readonly ApiDatabase[] {
    return this.#databases;
  }

  create(name: string): ApiDatabase {
    const database = { uuid: randomUUID(), name };
    this.#databases.push(database);
    return database;
  }

  async run({ uuid }: ApiDatabase, statements: readonly ApiStatement[]): Promise<readonly ApiResult[]> {
    const database = this.#open.get(uuid) ?? new DatabaseSync(':memory:');
    this.#open.set(uuid, database);
    database.exec('begin');
    try {
      const results = statements.map((statement) => runOne(database, statement));
      database.exec('commit');
      return results;
    } catch (error) {
      // RAISE(ROLLBACK) has already ended the transaction.
      if (database.isTransaction) database.exec('rollback');
      throw failureOf(error);
    }
  }

  async dispose(): Promise<void> {
    for (const database of this.#open.values()) database.close();
  }
}

function runOne(database: DatabaseSync, { sql, params }: ApiStatement): ApiResult {
  const started = performance.now();
  const before = counted(database);
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  const columns = statement.columns().map(({ name }) => name);
  checkNumber(statement, params);
  const rows = (statement.all(...params) as unknown as SQLOutputValue[][]).map((row) => row.map(jsonOf));
  const { changed, last, size } = counted(database);
  const changes = changed - before.changed;
  return {
    results: { columns, rows },
    success: true,
    meta: {
      duration: performance.now() - started,
      changes,
      last_row_id: last,
      changed_db: changes > 0,
      size_after: size,
      rows_read: rows.length,
      rows_written: changes,
      served_by_primary: true,
    },
  };
}

/** SQLite takes NULL for a value that is missing, D1 does not: with one value more, there have to be too many. */
function checkNumber(statement: StatementSync, params: ApiStatement['params']): void {
  try {
    statement.all(...params, null);
  } catch (error) {
    if (codeOf(error) === OUT_OF_RANGE) return;
  }
  throw new SqlFailure(WRONG_NUMBER);
}

function counted(database: DatabaseSync): { changed: number; last: number; size: number } {
  const sql = `select total_changes() as changed, last_insert_rowid() as last,
    (select page_count * page_size from pragma_page_count, pragma_page_size) as size`;
  return database.prepare(sql).get() as { changed: number; last: number; size: number };
}

/** As D1 answers: bytes are lists of numbers, and large integers lose digits. */
function jsonOf(cell: SQLOutputValue): unknown {
  if (typeof cell === 'bigint') return Number(cell);
  return cell instanceof Uint8Array ? [...cell] : cell;
}

function failureOf(error: unknown): unknown {
  const code = codeOf(error);
  if (!(error instanceof Error) || code === undefined) return error;
  if (code === OUT_OF_RANGE) return new SqlFailure(WRONG_NUMBER);
  const extended = EXTENDED[code] ? ` (extended: ${EXTENDED[code]})` : '';
  return new SqlFailure(`${error.message}: ${CODES[code & 0xff] ?? 'SQLITE_ERROR'}${extended}`);
}

const codeOf = (error: unknown): number | undefined =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) : undefined;
