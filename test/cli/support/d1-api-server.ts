import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type ApiDatabase, type ApiResult, type ApiStatement, type Backend, SqlFailure } from './backend.ts';
import { type Fault, type Limit, RequestWindow } from './faults.ts';

/** A request as the server has met it. */
export interface ApiRequest {
  readonly method: string;
  /** Below the account: `/d1/database/<uuid>/raw`. */
  readonly path: string;
  readonly statements: readonly ApiStatement[];
  /** When it came, by `performance.now()`. */
  readonly at: number;
  /** Undefined when the answer was lost on purpose. */
  status?: number;
}

export interface ServerOptions {
  readonly backend: Backend;
  readonly accountId?: string;
  readonly apiToken?: string;
  readonly limit?: Limit | undefined;
  readonly latencyMs?: number | undefined;
  readonly port?: number | undefined;
}

/** An answer that refuses. */
class Refused extends Error {
  readonly status: number;
  readonly code: number;
  readonly retryAfter: string | undefined;

  constructor(status: number, code: number, message: string, retryAfter?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const PREFIX = '/client/v4';
const ROUTE = /^\/accounts\/([^/]+)(\/d1\/database(?:\/([^/]+)(?:\/(query|raw|time_travel\/bookmark))?)?)$/;

/**
 * Cloudflare's HTTP API of D1, as far as the command line uses it, over databases of this machine.
 *
 * @example
 * const server = await D1ApiServer.start({ backend: new SimulatedBackend(3) });
 * server.fail = ({ path }) => (path.endsWith('/raw') ? 'lose answer' : undefined);
 */
export class D1ApiServer {
  readonly requests: ApiRequest[] = [];
  /** Asked about every request that may do what it asks. */
  fail: ((request: ApiRequest) => Fault | undefined) | undefined;
  latencyMs: number;
  readonly accountId: string;
  readonly apiToken: string;
  readonly backend: Backend;
  readonly #server: Server;
  readonly #window: RequestWindow | undefined;
  /** Time Travel's count of the writes to each database. */
  readonly #writes = new Map<string, number>();

  static async start(options: ServerOptions): Promise<D1ApiServer> {
    const server = new D1ApiServer(options);
    await new Promise<void>((resolve) => server.#server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return server;
  }

  private constructor({ backend, accountId, apiToken, limit, latencyMs }: ServerOptions) {
    this.backend = backend;
    this.accountId = accountId ?? 'a'.repeat(32);
    this.apiToken = apiToken ?? 'token-of-a-test';
    this.latencyMs = latencyMs ?? 0;
    this.#window = limit && new RequestWindow(limit);
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** The `baseURL` of a client. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${PREFIX}`;
  }

  /** Leaves the databases open: another server may go on with them. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = performance.now();
    const body = await bodyOf(message);
    const url = new URL(message.url ?? '/', this.url);
    const [, account, path = url.pathname, id, action] = ROUTE.exec(url.pathname.slice(PREFIX.length)) ?? [];
    const request: ApiRequest = { method: message.method ?? 'GET', path, statements: statementsOf(body), at };
    this.requests.push(request);
    const send = (status: number, value: object, headers: Record<string, string> = {}) => {
      request.status = status;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    };
    let fault: Fault | undefined;
    try {
      if (this.latencyMs > 0) await sleep(this.latencyMs);
      this.#admit(message, account);
      fault = this.fail?.(request);
      if (fault === 'drop') return void message.socket.destroy();
      if (typeof fault === 'object') {
        throw new Refused(fault.status, fault.code ?? 7500, fault.message ?? 'internal error', fault.retryAfter);
      }
      const database = id === undefined ? undefined : this.#database(id);
      const answer = await this.#run(request, url, database, action, body);
      if (fault === 'lose answer') return void message.socket.destroy();
      if (fault === 'cut answer') return void cut(response, JSON.stringify(answer));
      send(200, answer);
    } catch (error) {
      if (fault === 'lose answer') return void message.socket.destroy();
      const { status, code, message: text, retryAfter } = refusedBy(error);
      const errors = [{ code, message: text }];
      const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
      send(status, { result: status === 400 ? [] : null, success: false, errors, messages: [] }, headers);
    }
  }

  #admit(message: IncomingMessage, account: string | undefined): void {
    const token = message.headers.authorization ?? '';
    const waitMs = this.#window?.waitMs(performance.now()) ?? 0;
    if (waitMs > 0) {
      const seconds = String(Math.ceil(waitMs / 1000));
      throw new Refused(429, 971, 'Please wait and consider throttling your request speed', seconds);
    }
    if (!same(token, `Bearer ${this.apiToken}`)) throw new Refused(401, 10_000, 'Authentication error');
    if (account === undefined) {
      throw new Refused(404, 7003, `Could not route to ${message.url}, perhaps your object identifier is invalid?`);
    }
    if (account !== this.accountId) {
      throw new Refused(403, 7403, 'The given account is not valid or is not authorized to access this service');
    }
  }

  #database(id: string): ApiDatabase {
    const found = this.backend.list().find(({ uuid }) => uuid === id);
    if (!found) throw new Refused(404, 7404, `The database ${id} could not be found`);
    return found;
  }

  async #run(
    { method, statements }: ApiRequest,
    url: URL,
    database: ApiDatabase | undefined,
    action: string | undefined,
    body: unknown,
  ): Promise<object> {
    if (!database) return method === 'POST' ? enveloped(this.#create(body)) : this.#list(url.searchParams);
    if (action === undefined) return enveloped(database);
    const writes = this.#writes.get(database.uuid) ?? 0;
    if (action.startsWith('time_travel')) return enveloped({ bookmark: bookmarkOf(writes) });
    checkStatements(body, statements);
    const results = await this.backend.run(database, statements);
    this.#writes.set(database.uuid, writes + results.filter(({ meta }) => meta.changed_db).length);
    return enveloped(action === 'raw' ? results : results.map(withObjects));
  }

  #create(body: unknown): ApiDatabase {
    const { name } = body as { name?: string };
    if (!name) throw new Refused(400, 7400, 'The request is malformed: missing field `name`');
    if (this.backend.list().some((one) => one.name === name)) {
      throw new Refused(400, 7502, `Database with name '${name}' already exists`);
    }
    return this.backend.create(name);
  }

  #list(query: URLSearchParams): object {
    const page = Number(query.get('page') ?? 1);
    const size = Number(query.get('per_page') ?? 1000);
    const all = this.backend.list().filter(({ name }) => name.includes(query.get('name') ?? ''));
    const result = all.slice((page - 1) * size, page * size);
    const info = { page, per_page: size, count: result.length, total_count: all.length };
    return { ...enveloped(result), result_info: info };
  }
}

const enveloped = (result: unknown) => ({ result, success: true, errors: [], messages: [] });

const withObjects = ({ results: { columns, rows }, ...rest }: ApiResult): object => ({
  ...rest,
  results: rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell]))),
});

/** In the form of D1's, in which later ones sort after earlier ones. */
const bookmarkOf = (writes: number): string =>
  `${writes.toString(16).padStart(8, '0')}-ffffffff-00004f2b-${'0'.repeat(32)}`;

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

async function bodyOf(message: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text ? JSON.parse(text) : undefined;
}

function statementsOf(body: unknown): ApiStatement[] {
  const { sql, params, batch } = (body ?? {}) as Partial<ApiStatement> & { batch?: Partial<ApiStatement>[] };
  const list = batch ?? (sql === undefined ? [] : [{ sql, params }]);
  return list.map(({ sql = '', params = [] }) => ({ sql, params }));
}

/** What is not documented is refused, so that nothing here is sent by mistake. */
function checkStatements(body: unknown, statements: readonly ApiStatement[]): void {
  const isOther = (value: unknown) => value !== null && typeof value !== 'string' && typeof value !== 'number';
  if (statements.length === 0) throw new Refused(400, 7400, 'The request is malformed: no queries');
  if (statements.some(({ params }) => params.some(isOther))) {
    throw new Refused(400, 7400, 'The request is malformed: invalid type of a parameter');
  }
  for (const { sql } of statements) {
    // D1 splits the text of a request on its side, and knows a trigger's body by BEGIN in capitals only:
    // https://github.com/cloudflare/workers-sdk/issues/15314
    if ('sql' in (body as object) && /^\s*create\s+trigger/i.test(sql) && !/\bBEGIN\b/.test(sql)) {
      throw new Refused(400, 7500, 'incomplete input: SQLITE_ERROR');
    }
  }
}

function cut(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length });
  response.write(text.slice(0, text.length / 2), () => response.destroy());
}

function refusedBy(error: unknown): Refused {
  if (error instanceof Refused) return error;
  // 400 for what SQLite refuses: https://developers.cloudflare.com/d1/platform/release-notes/ of 2024-04-15
  if (error instanceof SqlFailure) return new Refused(400, 7500, error.message);
  return new Refused(500, 7500, `internal error; reference = ${String(error)}`);
}

/**
 * node test/cli/support/d1-api-server.ts --databases=3 --persist=/tmp/d1
 * node test/cli/support/d1-api-server.ts --simulated=1000 --requests=1200 --window=300000
 *
 * Prints a line of JSON with what a client needs, and runs until it is ended.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      databases: { type: 'string', default: '3' },
      simulated: { type: 'string' },
      persist: { type: 'string' },
      requests: { type: 'string' },
      window: { type: 'string', default: '300000' },
      latency: { type: 'string', default: '0' },
      port: { type: 'string', default: '0' },
    },
  });
  const backend = await backendOf(values);
  const server = await D1ApiServer.start({
    backend,
    limit: values.requests ? { requests: Number(values.requests), windowMs: Number(values.window) } : undefined,
    latencyMs: Number(values.latency),
    port: Number(values.port),
  });
  const { url, accountId, apiToken } = server;
  console.log(JSON.stringify({ url, accountId, apiToken, databases: backend.list() }));
  const end = async () => {
    await server.close();
    await backend.dispose();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end());
}

/** What is not needed is not loaded: Miniflare takes a second. */
async function backendOf(values: { simulated?: string; databases: string; persist?: string }): Promise<Backend> {
  if (values.simulated) return new (await import('./simulated-backend.ts')).SimulatedBackend(Number(values.simulated));
  const { MiniflareBackend } = await import('./miniflare-backend.ts');
  return new MiniflareBackend({ databases: Number(values.databases), persist: values.persist });
}

if (import.meta.main) await main();
