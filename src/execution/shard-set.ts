import { SchemaBehindError, ShardedDrizzleError, ShardQueryError, UnknownOutcomeError } from '../errors';
import { newName } from '../placement/attempt';
import { type Demand, type GuardRow, guardStatement, noteStatement, type PlacedKey } from '../placement/guard';
import { joinRefusals, Refusal, type Signal, signalOf } from '../placement/signals';
import type { BoundStatement } from '../sql/bound';
import type { Telemetry } from '../telemetry/counters';
import { noteRetry } from './observe';
import { onceStatements } from './once';
import { outcomeOf, type RetryListener, withRetries } from './retry';
import type { SchemaCheck } from './schema-check';

/** What is needed of a D1 database, or of a session of one. */
export type ShardClient = Pick<D1Database, 'prepare' | 'batch'>;

/** Rows as arrays, or as objects whose columns of one name have collapsed, as the caller of D1 asked for. */
export type RowFormat = 'arrays' | 'objects';

export interface ShardRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly meta: Meta;
}

/** What a statement is for: errors name its tables, and only reads may be repeated blindly. */
export interface Purpose {
  readonly tables: readonly string[];
  readonly write: boolean;
  /** A write that cannot be applied twice. */
  readonly repeatable?: boolean;
}

/** What a shard that owns what it has to own has answered. */
export interface Answer extends GuardRow {
  readonly results: readonly D1Result[];
}

export type Meta = D1Meta & Record<string, unknown>;

export interface ShardSetOptions {
  /** Calls under way at a time, per statement. */
  readonly concurrency: number;
  /** Writes leave a row in their batch that tells whether they have been applied. */
  readonly exactlyOnce: boolean;
  readonly telemetry: Telemetry;
  /** The databases themselves, which answer from their primaries. */
  readonly primaries: ReadonlyMap<string, ShardClient>;
  /** Shards that have once said who they are: their bindings are right. */
  readonly verified: Set<string>;
  /** Shards on which keys are being listed for a move, as far as this isolate has met it. */
  readonly noting: { has(shard: string): boolean; add(shard: string): void };
  /** Refuses shards that lack migrations; undefined where nobody has asked for that. */
  readonly schema: SchemaCheck | undefined;
  /** Told of what a guard said of its shard. */
  readonly learn: (demand: Demand, row: GuardRow) => void;
}

/** The databases by name. Knows how to run a guarded batch on one of them, and how many may run at a time. */
export class ShardSet {
  constructor(
    readonly clients: ReadonlyMap<string, ShardClient>,
    readonly options: ShardSetOptions,
  ) {}

  client(shard: string): ShardClient {
    return this.clients.get(shard) as ShardClient;
  }

  onPrimaries(): ShardSet {
    return this.over(this.options.primaries);
  }

  /** The same over other clients: sessions. */
  over(clients: ReadonlyMap<string, ShardClient>): ShardSet {
    return new ShardSet(clients, this.options);
  }

  /** Runs something on one shard, again after transient errors where that is safe; what it throws names the shard. */
  async on<T>(
    shard: string,
    sql: string,
    { tables, write, repeatable = false }: Purpose,
    run: (client: ShardClient) => Promise<T>,
  ): Promise<T> {
    const { telemetry } = this.options;
    const listener: RetryListener = (waitedMs, attempt) =>
      noteRetry(telemetry, { shard, reason: 'transient', attempt, waitedMs });
    try {
      return await withRetries(write && !repeatable, () => this.#timed(shard, run), listener);
    } catch (error) {
      if (error instanceof ShardedDrizzleError || error instanceof Refusal) throw error;
      const isUnknown = write && outcomeOf(error) === 'unknown';
      throw new (isUnknown ? UnknownOutcomeError : ShardQueryError)(shard, error, { tables, sql });
    }
  }

  async #timed<T>(shard: string, run: (client: ShardClient) => Promise<T>): Promise<T> {
    const started = performance.now();
    let failed = true;
    try {
      const result = await run(this.client(shard));
      failed = false;
      return result;
    } finally {
      this.options.telemetry.d1(shard, performance.now() - started, failed);
    }
  }

  /** Statements without a guard that may be repeated, in one transaction; the rows of each. */
  rows(shard: string, statements: readonly BoundStatement[]): Promise<Record<string, unknown>[][]> {
    return this.on(shard, statements[0]?.sql ?? '', { tables: [], write: false }, async (client) => {
      const results = await client.batch<Record<string, unknown>>(statements.map((one) => prepare(client, one)));
      return results.map((result) => result.results);
    });
  }

  /**
   * The same for statements that raise what speaks against them, as a guard does.
   *
   * @throws Refusal, of these keys.
   */
  async rowsUnlessRefused(
    shard: string,
    statements: readonly BoundStatement[],
    keys: readonly PlacedKey[],
  ): Promise<Record<string, unknown>[][]> {
    try {
      return await this.rows(shard, statements);
    } catch (error) {
      const signal = signalOf(error);
      throw signal ? new Refusal(shard, signal, keys, error) : error;
    }
  }

  /**
   * Runs statements on a shard behind its guard: one transaction, one round trip.
   *
   * @throws Refusal when the shard is not what `demand` says; nothing was run.
   */
  async guarded(demand: Demand, statements: readonly BoundStatement[], purpose: Purpose): Promise<Answer> {
    const { noting } = this.options;
    const isKeyed = demand.write && demand.own.length > 0;
    if (isKeyed && noting.has(demand.shard)) return this.#guarded({ ...demand, notes: true }, statements, purpose);
    try {
      return await this.#guarded(demand, statements, purpose);
    } catch (error) {
      // A replica may not have heard of the migration yet.
      const isReplica = this.clients.get(demand.shard) !== this.options.primaries.get(demand.shard);
      if (error instanceof SchemaBehindError && isReplica && !purpose.write) {
        return this.onPrimaries().guarded(demand, statements, purpose);
      }
      if (!(error instanceof Refusal) || error.signal.kind !== 'noting') throw error;
      noting.add(demand.shard);
      return this.#guarded({ ...demand, notes: true }, statements, purpose);
    }
  }

  async #guarded(demand: Demand, statements: readonly BoundStatement[], purpose: Purpose): Promise<Answer> {
    const { shard } = demand;
    const sql = statements[0]?.sql ?? '';
    const isOnce = purpose.write && this.options.exactlyOnce;
    const once = isOnce ? onceStatements(demand.once ?? newName(), statements) : undefined;
    const check = purpose.tables.length > 0 ? this.options.schema?.statementFor(shard) : undefined;
    const before = [
      guardStatement(demand),
      ...(check ? [check] : []),
      ...(demand.notes ? [noteStatement(demand.own)] : []),
    ];
    const batch = [...before, ...(once?.statements ?? statements)];
    let tries = 0;
    const results = await this.on(shard, sql, { ...purpose, repeatable: isOnce }, async (client) => {
      try {
        tries++;
        return await client.batch(batch.map((one) => prepare(client, one)));
      } catch (error) {
        const signal = signalOf(error);
        // A try before this one may have been applied: then what the shard says now is no matter.
        const applied =
          once &&
          (once.isApplied(error) || (signal && tries > 1)) &&
          (await once.answers(this.options.primaries.get(shard) ?? client, shard, purpose.tables));
        if (applied) return [...before.slice(1).map(() => applied[0] as D1Result), ...applied];
        throw signal
          ? refusalOf(demand, signal, error)
          : (check && this.options.schema?.errorOf(shard, error)) || error;
      }
    });
    const guard = (results[0] as D1Result<GuardRow>).results[0] as GuardRow;
    this.options.learn(demand, guard);
    this.options.verified.add(shard);
    if (check) this.options.schema?.passed(shard);
    const own = results.slice(before.length);
    return { ...guard, results: once ? once.pick(own) : own };
  }

  /**
   * Makes sure that these shards are who they are taken for, before a write that would otherwise be half done when one is not.
   *
   * @throws Refusal
   */
  async verify(names: readonly string[], cluster: string, purpose: Purpose): Promise<void> {
    const unknown = names.filter((shard) => !this.options.verified.has(shard));
    await this.askAll(unknown, (shard) =>
      this.guarded({ cluster, shard, own: [], absent: [], write: false }, [], { ...purpose, write: false }),
    );
  }

  /**
   * Calls `run` for each item, and all of them although some shards refuse: what those say is told together, so that one more
   * try knows all of it.
   *
   * @throws Refusal
   */
  async askAll<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
    const refusals: Refusal[] = [];
    const results = await this.forEach(items, async (item) => {
      try {
        return await run(item);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusals.push(error);
        return undefined;
      }
    });
    if (refusals.length > 0) throw joinRefusals(refusals);
    return results as R[];
  }

  /** Calls `run` for each item, at most `concurrency` at a time. The first failure stops new ones and is thrown. */
  async forEach<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = new Array(items.length);
    let next = 0;
    let failed = false;
    const worker = async () => {
      while (!failed && next < items.length) {
        const i = next++;
        try {
          results[i] = await run(items[i] as T);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const workers = Array.from({ length: Math.min(this.options.concurrency, items.length) }, worker);
    const [failure] = (await Promise.allSettled(workers)).filter((one) => one.status === 'rejected');
    if (failure) throw failure.reason;
    return results;
  }
}

const refusalOf = ({ shard, own, absent }: Demand, signal: Signal, cause: unknown): Refusal =>
  new Refusal(shard, signal, signal.kind === 'unsettled' ? absent : own, cause);

export function prepare(client: ShardClient, { sql, params }: BoundStatement): D1PreparedStatement {
  const statement = client.prepare(sql);
  return params.length > 0 ? statement.bind(...params) : statement;
}

/** The rows of a result. Its columns have different names, or the caller wants objects. */
export function rowsOf(result: D1Result): ShardRows {
  const objects = (result.results ?? []) as Record<string, unknown>[];
  return {
    columns: Object.keys(objects[0] ?? {}),
    rows: objects.map((row) => Object.values(row)),
    meta: result.meta as Meta,
  };
}

export const emptyMeta = (): Meta => ({
  duration: 0,
  size_after: 0,
  rows_read: 0,
  rows_written: 0,
  last_row_id: 0,
  changed_db: false,
  changes: 0,
});

/** One meta for several shards: counts are summed, the duration is that of the slowest. */
export function mergeMeta(metas: readonly Meta[]): Meta {
  const merged = { ...emptyMeta(), ...metas[0] };
  for (const meta of metas.slice(1)) {
    merged.duration = Math.max(merged.duration, meta.duration);
    merged.size_after += meta.size_after;
    merged.rows_read += meta.rows_read;
    merged.rows_written += meta.rows_written;
    merged.changes += meta.changes;
    merged.changed_db ||= meta.changed_db;
    if (meta.changes > 0) merged.last_row_id = meta.last_row_id;
  }
  return merged;
}
