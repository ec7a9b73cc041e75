/** One round trip to a database. */
export interface D1Call {
  readonly method: 'all' | 'raw' | 'run' | 'first' | 'batch' | 'exec';
  /** The statements in it: one, except for `batch`. */
  readonly statements: readonly { readonly sql: string; readonly params: readonly unknown[] }[];
}

/** Stands around every call: calls `run` to reach the database, or throws, or waits. */
export type Interceptor = <T>(call: D1Call, run: () => Promise<T>) => Promise<T>;

/**
 * A real D1 database with `intercept` around each of its calls, also of its sessions.
 *
 * @example
 * const logged = new InterceptedD1(env.DB_EAST, (call, run) => {
 *   console.log(call.statements.map(({ sql }) => sql));
 *   return run();
 * });
 */
export class InterceptedD1 implements D1Database {
  readonly #database: D1Database;
  readonly #intercept: Interceptor;

  constructor(database: D1Database, intercept: Interceptor) {
    this.#database = database;
    this.#intercept = intercept;
  }

  prepare(sql: string): D1PreparedStatement {
    return new InterceptedStatement(this.#database.prepare(sql), this.#intercept, sql, []);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return interceptBatch(this.#database, this.#intercept, statements);
  }

  exec(sql: string): Promise<D1ExecResult> {
    return this.#intercept({ method: 'exec', statements: [{ sql, params: [] }] }, () => this.#database.exec(sql));
  }

  withSession(constraintOrBookmark?: D1SessionBookmark | D1SessionConstraint): D1DatabaseSession {
    return new InterceptedSession(this.#database.withSession(constraintOrBookmark), this.#intercept);
  }

  dump(): Promise<ArrayBuffer> {
    return Promise.reject(new Error('dump() is deprecated and not supported here.'));
  }
}

class InterceptedSession implements D1DatabaseSession {
  readonly #session: D1DatabaseSession;
  readonly #intercept: Interceptor;

  constructor(session: D1DatabaseSession, intercept: Interceptor) {
    this.#session = session;
    this.#intercept = intercept;
  }

  prepare(sql: string): D1PreparedStatement {
    return new InterceptedStatement(this.#session.prepare(sql), this.#intercept, sql, []);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return interceptBatch(this.#session, this.#intercept, statements);
  }

  getBookmark(): D1SessionBookmark | null {
    return this.#session.getBookmark();
  }
}

class InterceptedStatement implements D1PreparedStatement {
  readonly real: D1PreparedStatement;
  readonly sql: string;
  readonly params: readonly unknown[];
  readonly #intercept: Interceptor;

  constructor(real: D1PreparedStatement, intercept: Interceptor, sql: string, params: readonly unknown[]) {
    this.real = real;
    this.sql = sql;
    this.params = params;
    this.#intercept = intercept;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    return new InterceptedStatement(this.real.bind(...values), this.#intercept, this.sql, values);
  }

  first<T = unknown>(columnName: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  first<T>(columnName?: string): Promise<T | null> {
    return this.#call('first', () =>
      columnName === undefined ? this.real.first<T>() : this.real.first<T>(columnName),
    );
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#call('run', () => this.real.run<T>());
  }

  all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#call('all', () => this.real.all<T>());
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  raw<T>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    return this.#call<T[] | [string[], ...T[]]>('raw', () =>
      options?.columnNames === true ? this.real.raw<T>({ columnNames: true }) : this.real.raw<T>(),
    );
  }

  #call<T>(method: D1Call['method'], run: () => Promise<T>): Promise<T> {
    return this.#intercept({ method, statements: [this] }, run);
  }
}

function interceptBatch<T>(
  target: D1Database | D1DatabaseSession,
  intercept: Interceptor,
  statements: readonly D1PreparedStatement[],
): Promise<D1Result<T>[]> {
  // A statement of another wrapper is unwrapped too: like the real thing, it then runs on this database.
  const wrapped = statements.map((statement) => {
    if (statement instanceof InterceptedStatement) return statement;
    throw new TypeError('A batch on a wrapped database takes statements that a wrapped database prepared.');
  });
  return intercept({ method: 'batch', statements: wrapped }, () => target.batch<T>(wrapped.map(({ real }) => real)));
}
