import type { QueryEvent } from '../config';
import { BusyTime } from './busy-time';

// With the entry for all statements and the two for the rest, at most 20 entries: the headers of a response have limits.
const MAX_SHARDS = 9;
const MAX_KINDS = 8;
const MAX_NAME_LENGTH = 64;

/** Everything but the characters of an RFC 9110 token. */
const NOT_TOKEN = /[^\w!#$%&'*+.^`|~-]/g;
const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/g;

/**
 * Tells the browser's developer tools what the statements of one request took, through the response header
 * `Server-Timing` (https://www.w3.org/TR/server-timing/):
 *
 *     db;dur=12.3;desc="3 queries", kind-single;dur=4.1;desc="2", kind-scatter;dur=8.2;desc="1", db-east;dur=12.3;desc="3"
 *
 * - `db`: all statements. `dur` is for how many milliseconds at least one of them was running, so that those of one batch,
 *   or of one `Promise.all`, are not added up. Everywhere, `desc` counts the statements.
 * - `kind-scatter`, ...: those that were run this way; `other-kind` beyond 8 kinds.
 * - `db-east`, ...: those that asked this shard, and `dur` as above: not how long the shard itself took. The 9 shards
 *   that are asked first have entries; all others are counted together as `other`. Characters that cannot be in a name
 *   are replaced by `_`, and `desc` then has the shard's own name.
 *
 * An instance belongs to one request: make a new one for each, never one at module level, which would tell one visitor of
 * the statements of another. Whoever gets the response can read the names of the shards.
 *
 * @example
 * // One database for each request.
 * const timing = new ServerTiming();
 * const db = shardedDrizzle({ schema, shards, onQuery: timing.onQuery });
 * return timing.applyTo(Response.json(await db.select().from(users)));
 *
 * @example
 * // Hono, one database for all requests: the timing of a request is found through its context.
 * const db = shardedDrizzle({ schema, shards, onQuery: (event) => tryGetContext<App>()?.var.timing.onQuery(event) });
 * app.use(contextStorage());
 * app.use(async (c, next) => {
 *   const timing = new ServerTiming();
 *   c.set('timing', timing);
 *   await next();
 *   c.res = timing.applyTo(c.res);
 * });
 * // `c.res =` keeps a Server-Timing that the response has already, in place of this one. Where another middleware sets
 * // it, write: c.header('Server-Timing', timing.toString(), { append: true });
 */
export class ServerTiming {
  readonly #all = new BusyTime();
  readonly #kinds = new Group(MAX_KINDS);
  readonly #shards = new Group(MAX_SHARDS);
  #failed = 0;

  /** To be given to `shardedDrizzle` as `onQuery`, or called with each event at once: the statement ended just now. */
  readonly onQuery = ({ kind, shards, durationMs, error }: QueryEvent): void => {
    const to = performance.now();
    const from = to - (Number.isFinite(durationMs) ? Math.max(durationMs, 0) : 0);
    this.#all.add(from, to);
    this.#kinds.of(kind).add(from, to);
    for (const shard of shards) this.#shards.of(shard).add(from, to);
    if (error !== undefined) this.#failed++;
  };

  /** The value of the header, empty when there were no statements. */
  toString(): string {
    const { count, ms } = this.#all;
    if (count === 0) return '';
    const failed = this.#failed === 0 ? '' : `, ${this.#failed} failed`;
    const names = new Names(['db', 'other', 'other-kind']);
    return [
      entry('db', ms, `${count} ${count === 1 ? 'query' : 'queries'}${failed}`),
      ...this.#kinds.entries(names, 'kind-', 'other-kind'),
      ...this.#shards.entries(names, '', 'other'),
    ].join(', ');
  }

  /**
   * The response with the header, besides any `Server-Timing` that it has. It is a copy with the same body, as the headers
   * of a fetched response cannot be changed: use it in place of the one given. Statements that run later, while a body is
   * streamed, are not in it.
   */
  applyTo(response: Response): Response {
    const value = this.toString();
    // `Response.error()` has a status that no copy can be given.
    if (value === '' || response.status === 0) return response;
    const copy = new Response(response.body, response);
    copy.headers.append('Server-Timing', value);
    return copy;
  }
}

/** Times by name: so many names as come first have their own, all others share one. */
class Group {
  readonly #limit: number;
  readonly #named = new Map<string, BusyTime>();
  readonly #rest = new BusyTime();

  constructor(limit: number) {
    this.#limit = limit;
  }

  of(name: string): BusyTime {
    const known = this.#named.get(name);
    if (known) return known;
    if (this.#named.size === this.#limit) return this.#rest;
    const time = new BusyTime();
    this.#named.set(name, time);
    return time;
  }

  entries(names: Names, prefix: string, restToken: string): string[] {
    const entries = Array.from(this.#named, ([name, { ms, count }]) => {
      const token = names.tokenOf(prefix + name);
      return entry(token, ms, token === prefix + name ? `${count}` : `${count}: ${name.slice(0, MAX_NAME_LENGTH)}`);
    });
    if (this.#rest.count > 0) entries.push(entry(restToken, this.#rest.ms, `${this.#rest.count}`));
    return entries;
  }
}

/** Makes tokens of names, each different from all others. */
class Names {
  readonly #taken: Set<string>;

  constructor(reserved: readonly string[]) {
    this.#taken = new Set(reserved);
  }

  tokenOf(name: string): string {
    let token = name.slice(0, MAX_NAME_LENGTH).replace(NOT_TOKEN, '_') || '_';
    while (this.#taken.has(token)) token += '_';
    this.#taken.add(token);
    return token;
  }
}

function entry(token: string, ms: number, description: string): string {
  const quoted = description.replace(NOT_PRINTABLE_ASCII, '?').replace(/["\\]/g, '\\$&');
  return `${token};dur=${Number(ms.toFixed(1))};desc="${quoted}"`;
}
