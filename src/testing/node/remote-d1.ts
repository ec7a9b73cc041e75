import type { D1Call } from '../intercepted-d1';
import type { Ask, D1Request } from './wire';

type Extra = Pick<D1Request, 'column' | 'columnNames'>;
type Send = <T>(call: D1Call, extra?: Extra) => Promise<T>;

/**
 * A D1 of a runtime that is another process. Miniflare's own proxy asks it for each `prepare` and `bind` too, and stops Node
 * meanwhile; here a call is one request.
 */
export class RemoteD1 implements D1Database {
  readonly #ask: Ask;
  readonly #binding: string;
  readonly #send: Send;

  constructor(ask: Ask, binding: string) {
    this.#ask = ask;
    this.#binding = binding;
    this.#send = async <T>(call: D1Call, extra: Extra = {}) =>
      (await ask({ kind: 'd1', database: binding, ...call, ...extra })).value as T;
  }

  prepare(sql: string): D1PreparedStatement {
    return new RemoteStatement(this.#send, sql, []);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return sendBatch(this.#send, statements);
  }

  exec(sql: string): Promise<D1ExecResult> {
    return this.#send({ method: 'exec', statements: [{ sql, params: [] }] });
  }

  withSession(constraintOrBookmark: string = 'first-unconstrained'): D1DatabaseSession {
    return new RemoteSession(this.#ask, this.#binding, constraintOrBookmark);
  }

  dump(): Promise<ArrayBuffer> {
    return Promise.reject(new Error('dump() is deprecated and not supported here.'));
  }
}

/** The bookmark is kept here, and each call goes on from it. */
class RemoteSession implements D1DatabaseSession {
  readonly #send: Send;
  #bookmark: string | null = null;

  constructor(ask: Ask, binding: string, start: string) {
    this.#send = async <T>(call: D1Call, extra: Extra = {}) => {
      const session = this.#bookmark ?? start;
      const { value, bookmark } = await ask({ kind: 'd1', database: binding, session, ...call, ...extra });
      this.#bookmark = bookmark ?? this.#bookmark;
      return value as T;
    };
  }

  prepare(sql: string): D1PreparedStatement {
    return new RemoteStatement(this.#send, sql, []);
  }

  batch<T = unknown>(statements: D1PreparedStatement[]): Promise<D1Result<T>[]> {
    return sendBatch(this.#send, statements);
  }

  getBookmark(): D1SessionBookmark | null {
    return this.#bookmark;
  }
}

class RemoteStatement implements D1PreparedStatement {
  readonly #send: Send;

  constructor(
    send: Send,
    readonly sql: string,
    readonly params: readonly unknown[],
  ) {
    this.#send = send;
  }

  bind(...values: unknown[]): D1PreparedStatement {
    return new RemoteStatement(this.#send, this.sql, values.map(toParameter));
  }

  first<T = unknown>(columnName: string): Promise<T | null>;
  first<T = Record<string, unknown>>(): Promise<T | null>;
  first<T>(columnName?: string): Promise<T | null> {
    return this.#send(this.#call('first'), columnName === undefined ? {} : { column: columnName });
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#send(this.#call('run'));
  }

  all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.#send(this.#call('all'));
  }

  raw<T = unknown[]>(options: { columnNames: true }): Promise<[string[], ...T[]]>;
  raw<T = unknown[]>(options?: { columnNames?: false }): Promise<T[]>;
  raw<T>(options?: { columnNames?: boolean }): Promise<T[] | [string[], ...T[]]> {
    return this.#send(this.#call('raw'), { columnNames: options?.columnNames === true });
  }

  #call(method: D1Call['method']): D1Call {
    return { method, statements: [{ sql: this.sql, params: this.params }] };
  }
}

/** As D1's own client sends it, which refuses with the same words what is no value of SQLite. */
function toParameter(value: unknown): unknown {
  if (value === null || Array.isArray(value) || ['number', 'string', 'boolean'].includes(typeof value)) return value;
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
  if (ArrayBuffer.isView(value)) return [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)];
  throw new Error(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${String(value)}'`);
}

function sendBatch<T>(send: Send, statements: readonly D1PreparedStatement[]): Promise<D1Result<T>[]> {
  const sent = statements.map((statement) => {
    if (statement instanceof RemoteStatement) return { sql: statement.sql, params: statement.params };
    throw new TypeError('A batch takes statements that a database of the test cluster has prepared.');
  });
  return send({ method: 'batch', statements: sent });
}
