import { UnsupportedStatementError } from '../errors';
import { hiddenColumns, type Row } from '../merge/merge-rows';
import { type Run, takeMerged } from '../merge/run-merge';
import type { Attempt } from '../placement/attempt';
import type { Keyset } from '../plan/keyset';
import type { BoundStatement } from '../sql/bound';
import type { ReadyCluster } from './cluster';
import { keysetOf } from './keyset';
import { observe } from './observe';
import type { Route, ScatterRoute } from './route';
import type { Executor } from './run';
import { type Answer, rowsOf } from './shard-set';

/** How many rows one fetch asks of one shard. */
const DEFAULT_CHUNK = 1000;
/** How many rows wait at a time, all shards together, where nobody says how large a chunk is. */
const MAX_WAITING = 20_000;
const MIN_CHUNK = 50;

/** Rows of one shard that wait to be given out. */
interface Buffer extends Run {
  readonly shard: string;
  /** What the shard owned when it was first asked. */
  readonly digest: number;
  /** The position of the last row that it gave. */
  position: string | undefined;
}

/** All shards' buffers, begun at one state of ownership; each goes on by itself as long as its shard stays in that state. */
interface Round {
  readonly route: ScatterRoute;
  readonly buffers: readonly Buffer[];
}

/** Rows whose order is certain; whether they are the last ones. */
interface Taken {
  readonly rows: readonly Row[];
  readonly isLast: boolean;
}

/**
 * The rows of a query in its order, in groups as they become certain. At most one chunk of each shard is held.
 *
 * Each shard goes on from its own last row, so its buffer is right as long as it owns what it owned at the beginning of the
 * round: rows that come to it or leave it change its digest. Then all buffers are dropped, and all shards are asked again from
 * the last row that was given out.
 */
export class RowStream {
  readonly #executor: Executor;
  #position: string | undefined;
  #left = Number.POSITIVE_INFINITY;
  #round: Round | undefined;

  constructor(
    readonly cluster: ReadyCluster,
    readonly query: BoundStatement,
    readonly chunk: number | undefined,
  ) {
    this.#executor = cluster.executor;
    if (chunk !== undefined && !(Number.isInteger(chunk) && chunk > 0)) {
      throw new UnsupportedStatementError(`$stream: a chunk of ${chunk} rows.`, {
        remedy: 'Give a whole number from 1.',
      });
    }
  }

  async *groups(): AsyncGenerator<readonly Row[], void, undefined> {
    const keyset = await keysetOf(this.#executor, this.query.sql, '$stream');
    this.#left = keyset.limit(this.query.params) ?? Number.POSITIVE_INFINITY;
    while (this.#left > 0) {
      const { rows, isLast } = this.#round ? await this.#goOn(keyset, this.#round) : await this.#begin(keyset);
      const given = rows.slice(0, this.#left);
      this.#left -= given.length;
      this.#position = (given.at(-1)?.at(-1) as string | undefined) ?? this.#position;
      if (given.length > 0) yield given.map((row) => row.slice(0, -1));
      if (isLast) return;
    }
  }

  /** Asks every shard from the last row on that was given out. */
  async #begin(keyset: Keyset): Promise<Taken> {
    const { shards } = await this.#executor.attempt(false);
    const limit = this.#limit(shards.length);
    const statement = keyset.statement(this.query.params, this.#position, limit);
    return this.#accepted(statement, async ({ plan, route }, attempt) => {
      if (route.kind === 'single') {
        // What one shard has is found anew with each chunk, so that nothing has to be kept.
        const { rows } = rowsOf(await this.#executor.single(route, attempt, plan.tables));
        return { rows, isLast: rows.length < limit };
      }
      if (route.kind !== 'scatter') throw notStreamed(route, this.query.sql, plan.tables);
      const answers = await this.#executor.answers(route, attempt, plan.tables);
      const buffers = answers.map((answer, i): Buffer => {
        const shard = route.shards[i] as string;
        return { shard, digest: answer.digest, ...filled(answer, route, limit, undefined) };
      });
      this.#round = { route, buffers };
      return taken(this.#round);
    });
  }

  /** Asks the shard whose buffer has run out. */
  async #goOn(keyset: Keyset, round: Round): Promise<Taken> {
    const buffer = round.buffers.find(({ rows, isLast }) => rows.length === 0 && !isLast);
    if (!buffer) return taken(round);
    const limit = this.#limit(round.buffers.length);
    const statement = keyset.statement(this.query.params, buffer.position, limit);
    const isSame = await this.#accepted(statement, async ({ plan, route }, attempt) => {
      if (route.kind !== 'scatter' || !isSameSpread(route, round.route)) return false;
      const answer = await this.#executor.answer(route, buffer.shard, attempt, plan.tables);
      if (route.all && answer.digest !== buffer.digest) return false;
      Object.assign(buffer, filled(answer, route, limit, buffer.position));
      return true;
    });
    if (isSame) return taken(round);
    this.#round = undefined;
    return { rows: [], isLast: false };
  }

  /** Runs something with the statement's route until no shard refuses it, and tells who listens. */
  #accepted<R>(
    statement: BoundStatement,
    run: (prepared: Awaited<ReturnType<Executor['prepare']>>, attempt: Attempt) => Promise<R>,
  ): Promise<R> {
    return observe(this.cluster.onQuery, [statement], (routed) =>
      this.#executor.accepted([], async (attempt) => {
        const prepared = await this.#executor.prepare(statement, attempt, 'arrays');
        routed(statement, prepared.route);
        return run(prepared, attempt);
      }),
    );
  }

  #limit(shards: number): number {
    const chunk = this.chunk ?? Math.max(Math.min(DEFAULT_CHUNK, Math.floor(MAX_WAITING / shards)), MIN_CHUNK);
    return Math.min(chunk, this.#left);
  }
}

function taken({ route, buffers }: Round): Taken {
  const rows = takeMerged(buffers, route.order);
  return { rows, isLast: buffers.every((buffer) => buffer.isLast) };
}

function filled(answer: Answer, { order }: ScatterRoute, limit: number, before: string | undefined) {
  const { rows } = rowsOf(answer.results[0] as D1Result);
  const last = rows.at(-1);
  // In front of the columns of the order.
  const position = last ? String(last[last.length - 1 - hiddenColumns(order)]) : before;
  return { rows, position, isLast: rows.length < limit };
}

/** Do two rounds ask the same shards for the same keys? */
const isSameSpread = (a: ScatterRoute, b: ScatterRoute): boolean => spreadText(a) === spreadText(b);

const spreadText = ({ shards, all, keys }: ScatterRoute): string =>
  JSON.stringify([shards, all, keys.map(({ key, shard }) => [key, shard])]);

const notStreamed = ({ kind }: Route, sql: string, tables: readonly string[]): UnsupportedStatementError =>
  new UnsupportedStatementError(
    `$stream: rows of several shard keys meet in the query (${kind}), so that no shard has its part of the answer.`,
    {
      sql,
      tables,
      remedy: 'Join tables on their shard key, order by columns or expressions of them, or run the whole query.',
    },
  );
