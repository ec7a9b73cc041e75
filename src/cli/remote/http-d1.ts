import { emptyMeta, type Meta } from '../../execution/shard-set';
import { resultOf } from './answer';
import { d1Error } from './api-errors';
import type { RemoteClient } from './client';
import { type Parameter, parameterOf } from './parameters';

/** One database of the client's account. */
export interface RemoteDatabase {
  /** The `database_id` of wrangler's configuration. */
  readonly databaseId: string;
  /** What errors call it. */
  readonly name: string;
}

/**
 * A D1 database over Cloudflare's HTTP API, with the interface and the errors of a Worker's binding. It always asks the
 * primary: only the binding has sessions, so that one here has no bookmark.
 *
 * @example
 * const db = shardedDrizzle({ schema, shards: { 'db-east': httpD1(client, { databaseId, name: 'db-east' }) } });
 *
 * What its calls throw: `Error` with the message of a binding's error; `CloudflareApiError` when the token, the account or
 * the database is a wrong one.
 */
export function httpD1(client: RemoteClient, { databaseId, name }: RemoteDatabase): D1Database {
  const { accountId } = client;
  return new HttpDatabase(async (body) => {
    // The client's type has texts only for parameters.
    const params = { account_id: accountId, ...(body as { sql: string }) };
    // Rows as arrays: as objects, columns of one name would collapse.
    const call = client.d1.database.raw(databaseId, params);
    return answersOf(await resultOf(call, { accountId, database: { id: databaseId, name } }));
  });
}

/** The body of a request: one statement, or several in one transaction. */
type Body = Query | { readonly batch: readonly Query[] };

interface Query {
  readonly sql: string;
  readonly params?: readonly Parameter[];
}

/** The rows that one statement answers with. */
interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly meta: Meta;
}

type Ask = (body: Body) => Promise<readonly Answer[]>;

interface RawResult {
  readonly results?: { readonly columns?: readonly string[]; readonly rows?: readonly (readonly unknown[])[] };
  readonly success?: boolean;
  readonly error?: string;
  readonly meta?: Partial<Meta>;
}

function answersOf(result: unknown): Answer[] {
  const results = Array.isArray(result) ? (result as RawResult[]) : [];
  return results.map(({ results, success, error, meta }) => {
    if (success === false || error) throw d1Error(error ?? 'The statement failed.');
    return { columns: results?.columns ?? [], rows: results?.rows ?? [], meta: { ...emptyMeta(), ...meta } };
  });
}

class HttpDatabase implements D1Database {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  prepare(sql: string): D1PreparedStatement {
    return new HttpStatement(this.#ask, { sql });
  }

  async batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    if (statements.length === 0) throw d1Error('No SQL statements detected.');
    const batch = statements.map(queryOf);
    const answers = await this.#ask({ batch });
    if (answers.length !== batch.length) {
      throw d1Error(`A batch of ${batch.length} statements was run, and ${answers.length} results came back.`);
    }
    return answers.map((answer) => objectsOf<T>(answer));
  }

  /** A statement a line, as the binding splits them. */
  async exec(script: string): Promise<D1ExecResult> {
    const lines = script.trim().split('\n');
    try {
      const answers = await this.#ask({ batch: lines.map((sql) => ({ sql })) });
      return { count: answers.length, duration: answers.reduce((sum, { meta }) => sum + meta.duration, 0) };
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('D1_ERROR: ')) throw error;
      throw new Error(error.message.replace('D1_ERROR', 'D1_EXEC_ERROR'), { cause: error.cause });
    }
  }

  withSession(): D1DatabaseSession {
    return {
      prepare: (sql) => this.prepare(sql),
      batch: (statements) => this.batch(statements),
      getBookmark: () => null,
    };
  }

  dump(): Promise<ArrayBuffer> {
    return Promise.reject(new Error('D1_DUMP_ERROR: `npx wrangler d1 export` writes a dump of a database.'));
  }
}

class HttpStatement implements D1PreparedStatement {
  readonly #ask: Ask;
  readonly query: Query;

  constructor(ask: Ask, query: Query) {
    this.#ask = ask;
    this.query = query;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    return new HttpStatement(this.#ask, { sql: this.query.sql, params: values.map(parameterOf) });
  }

  async all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return objectsOf<T>(await this.#run());
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  first<T = unknown>(column: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  async first(column?: string): Promise<unknown> {
    const [row] = (await this.all()).results;
    if (!row) return null;
    if (column === undefined) return row;
    if (row[column] !== undefined) return row[column];
    throw new Error(`D1_COLUMN_NOTFOUND: Column not found (${column})`, { cause: new Error('Column not found') });
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  async raw(options?: { columnNames?: boolean }): Promise<unknown[]> {
    const { columns, rows } = await this.#run();
    return options?.columnNames ? [columns, ...rows] : [...rows];
  }

  async #run(): Promise<Answer> {
    const [answer] = await this.#ask(this.query);
    if (!answer) throw d1Error('No SQL statements detected.');
    return answer;
  }
}

function queryOf(statement: D1PreparedStatement): Query {
  if (statement instanceof HttpStatement) return statement.query;
  throw new TypeError('A batch over HTTP takes statements that were prepared over HTTP.');
}

function objectsOf<T>({ columns, rows, meta }: Answer): D1Result<T> {
  const results = rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell])) as T);
  return { success: true, results, meta };
}
