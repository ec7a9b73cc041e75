import { GatherLimitError } from '../errors';
import { mergeRows, type Row } from '../merge/merge-rows';
import type { Attempt } from '../placement/attempt';
import { canonicalKey } from '../placement/key';
import type { GatherLink } from '../plan/plan';
import { COLUMNS_PER_ARRAY, LINK_PARAMS } from '../plan/write-fetch';
import type { BoundStatement } from '../sql/bound';
import { joinWithin } from '../sql/json-values';
import { MAX_PARAMS } from '../sql/template';
import { askBalanced } from './balance';
import { finishingStatement, type Gathered } from './finish';
import type { GatherFetch, GatherRoute, Spread } from './route';
import { inLists } from './route-read';
import { type Executor, spreadDemand } from './run';
import { type Answer, rowsOf } from './shard-set';
import { type FetchLimits, isWeighed, tooHeavy, weighStatement } from './weigh';

/** The owners of more keys than these are not looked for: every shard gets the list. */
const MAX_KEYS = 200;

export interface StatementLimits extends FetchLimits {
  /** D1 queries. */
  readonly queries: number;
}

/**
 * Fetches the rows and writes the statement that finishes on one shard: first what is asked for by itself, then what this
 * names, and so on. Rows travel as JSON text that SQLite made and SQLite reads: JavaScript never parses it, so 64-bit
 * integers and the difference of 1 and 1.0 survive.
 */
export async function gather(
  route: GatherRoute,
  executor: Executor,
  attempt: Attempt,
  tables: readonly string[],
): Promise<{ readonly finish: BoundStatement; readonly leastRows: number }> {
  const gathering = new Gathering(route, executor, attempt, tables);
  for (const level of route.levels) await gathering.fetch(level);
  const finish = finishingStatement(route, gathering.gathered());
  if (finish.params.length > MAX_PARAMS) throw gathering.tooMuch('its tables');
  return { finish, leastRows: gathering.leastRows() };
}

/** What came of one fetch: rows of `__shard_x`, the JSON arrays, and the values that later fetches ask by. */
interface Fetched {
  readonly rows: readonly Row[];
  readonly arrays: number;
}

/** One fetch, made ready: where, and by which values. */
interface Ask {
  readonly fetch: GatherFetch;
  readonly spread: Spread;
  readonly statement: BoundStatement;
}

class Gathering {
  readonly #fetched: Fetched[] = [];
  /** By fetch and shard, as one may be asked again. */
  readonly #counted = new Map<string, { readonly rows: number; readonly bytes: number }>();
  readonly #total = { rows: 0, bytes: 0 };

  constructor(
    readonly route: GatherRoute,
    readonly executor: Executor,
    readonly attempt: Attempt,
    readonly tables: readonly string[],
  ) {}

  /** Makes some fetches, whose links are to fetches made before. */
  async fetch(level: readonly number[]): Promise<void> {
    const asks = await Promise.all(level.map((i) => this.#ready(this.route.fetches[i] as GatherFetch)));
    const all = asks.some(({ spread }) => spread.all);
    const named = new Set(asks.flatMap(({ spread }) => spread.shards));
    const shards = all ? this.attempt.everyShard() : this.attempt.shards.filter((shard) => named.has(shard));
    const asksOf = (shard: string) => asks.filter(({ spread }) => spread.shards.includes(shard));
    const ask = (shard: string) => this.#ask(shard, asksOf(shard));
    const answers = all
      ? await askBalanced(this.executor.shards, shards, this.attempt, this.tables, ask)
      : await this.executor.shards.askAll(shards, ask);
    for (const [n, i] of level.entries()) {
      const own = asks[n] as Ask;
      const lists = shards.map((shard, at) => {
        const place = asksOf(shard).indexOf(own);
        return place < 0 ? [] : rowsOf(answers[at]?.results[place] as D1Result).rows;
      });
      this.#fetched[i] = { rows: own.fetch.top ? mergeTop(lists, own.fetch.top) : lists.flat(), arrays: arraysOf(own) };
    }
  }

  /** All that one shard has to give at a time comes in one batch: its rows are of one moment. */
  async #ask(shard: string, asks: readonly Ask[]): Promise<Answer> {
    const { limits } = this.executor.cluster;
    // Where rows of any key are fetched, the digests of all shards say that none is missing and none comes twice.
    const keys = asks.flatMap(({ spread }) => (spread.all ? [] : spread.keys));
    const fetches = asks.map(({ fetch, statement }) => withinLimit(fetch, statement, limits.rows + 1));
    const weights = asks.flatMap((ask, i) =>
      isWeighed(ask.fetch) ? [weighStatement(fetches[i] as BoundStatement, i, arraysOf(ask), limits)] : [],
    );
    const demand = spreadDemand(this.attempt, shard, { keys }, false);
    const purpose = { tables: this.tables, write: false };
    const answer = await this.executor.shards.guarded(demand, [...weights, ...fetches], purpose).catch((error) => {
      const heavy = asks[tooHeavy(error) ?? -1];
      throw heavy ? this.tooMuch(heavy.fetch.table.table.name) : error;
    });
    const results = answer.results.slice(weights.length);
    for (const [i, { results: rows }] of results.entries()) {
      const name = (asks[i] as Ask).fetch.table.name;
      let bytes = 0;
      for (const row of rows) bytes += sizeOf(row as Record<string, unknown>);
      const total = this.#count(`${name} ${shard}`, rows.length, bytes);
      if (total.rows > limits.rows || total.bytes > limits.bytes) {
        throw this.tooMuch((asks[i] as Ask).fetch.table.table.name);
      }
    }
    return { ...answer, results };
  }

  /** All that was fetched, with what came last in the place of what came for the same before. */
  #count(of: string, rows: number, bytes: number): { readonly rows: number; readonly bytes: number } {
    const before = this.#counted.get(of) ?? { rows: 0, bytes: 0 };
    this.#counted.set(of, { rows, bytes });
    this.#total.rows += rows - before.rows;
    this.#total.bytes += bytes - before.bytes;
    return this.#total;
  }

  async #ready(fetch: GatherFetch): Promise<Ask> {
    const lists = fetch.table.links.map((link) => ({ link, values: this.#valuesOf(link) }));
    // Any of them is right; the shortest says the most. Where keys have to be named, it is one that says where the rows are.
    const named = this.executor.confined ? lists.filter(({ link }) => link.keyspace !== undefined) : [];
    const [shortest] = (named.length > 0 ? named : lists).sort((a, b) => a.values.length - b.values.length);
    if (!shortest) return { fetch, spread: fetch, statement: fetch.statement };
    const { link, values } = shortest;
    const { sql, params } = fetch.statement;
    const chunks = joinWithin(values);
    if (chunks.length > LINK_PARAMS) throw this.tooMuch(fetch.table.table.name);
    return {
      fetch,
      spread: (await this.#ownersOf(link, values)) ?? fetch,
      statement: {
        sql: sql + inLists(fetch.filtered, link.column, chunks.length),
        params: [...params, ...chunks],
      },
    };
  }

  /** The different values of a column of rows that were fetched, as JSON. */
  #valuesOf({ from, value }: GatherLink): string[] {
    const { rows, arrays } = this.#fetched[from] as Fetched;
    const values = new Set<string>();
    for (const row of rows) values.add(String(row[1 + arrays + value]).slice(1, -1));
    values.delete('null');
    return [...values];
  }

  /** The shards that own the keys; undefined where they have to be asked for them all. */
  async #ownersOf({ keyspace, column }: GatherLink, values: readonly string[]): Promise<Spread | undefined> {
    if (values.length === 0) return { shards: [], keys: [], all: false };
    if (keyspace === undefined || values.length > MAX_KEYS) return undefined;
    const keys = values.map((json) => canonicalKey(keyValue(json), column.affinity));
    if (keys.some((key) => typeof key !== 'string')) return undefined;
    const placed = await this.attempt.place(keyspace, keys as string[]);
    const shards = new Set(placed.map(({ shard }) => shard));
    // Where all are asked, their digests say the same as a guard of each key, for less.
    return shards.size < this.attempt.everyShard().length
      ? { shards: [...shards], keys: placed, all: false }
      : undefined;
  }

  /** With fewer rows than these in the answer, rows that were left out may be missing in it. */
  leastRows(): number {
    const cuts = this.route.fetches.map(({ top }, i) => {
      const isCut = top?.limit !== undefined && (this.#fetched[i] as Fetched).rows.length >= top.limit;
      return isCut ? (top.page ?? 0) : 0;
    });
    return Math.max(...cuts);
  }

  gathered(): Gathered[] {
    return this.#fetched.map(({ rows, arrays }) => {
      const encoded = rows.map((row) => (arrays === 1 ? String(row[1]) : `[${row.slice(1, 1 + arrays).join(',')}]`));
      return { chunks: joinWithin(encoded), exact: rows.some(([unusual]) => unusual === 1) };
    });
  }

  tooMuch(table: string): GatherLimitError {
    const { limits } = this.executor.cluster;
    return new GatherLimitError(
      `The statement has to be finished on one shard, and fetching ${table} for it passed the limit of ${limits.rows} rows, ${limits.bytes} bytes, or what D1 lets be bound.`,
      {
        tables: this.tables,
        remedy: `Add a condition on ${table} alone, or on the shard keys so that it stays on one shard; or raise limits.gatherRows and limits.gatherBytes.`,
      },
    );
  }
}

/** No more rows than show that there are too many; a page has a LIMIT already, its last value. */
const withinLimit = ({ top }: GatherFetch, { sql, params }: BoundStatement, most: number): BoundStatement => {
  if (!top) return { sql: `${sql} limit ${most}`, params };
  return { sql, params: [...params.slice(0, -1), Math.min(top.limit ?? most, most)] };
};

const arraysOf = ({ fetch }: Ask): number => Math.ceil(fetch.table.columns.length / COLUMNS_PER_ARRAY);

const mergeTop = (lists: readonly (readonly Row[])[], { order, limit }: NonNullable<GatherFetch['top']>): Row[] =>
  mergeRows(lists, order, 0, limit);

/** A value of JSON that SQLite wrote, where a key can be made of it. */
function keyValue(json: string): unknown {
  if (/^-?\d+$/.test(json)) return BigInt(json);
  return json.startsWith('"') ? JSON.parse(json) : undefined;
}

const sizeOf = (row: Record<string, unknown>): number => {
  let size = 0;
  for (const value of Object.values(row)) if (typeof value === 'string') size += value.length;
  return size;
};
