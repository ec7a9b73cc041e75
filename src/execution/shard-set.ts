import { ShardedDrizzleError, ShardQueryError, UnknownOutcomeError } from '../errors';
import { outcomeOf, withRetries } from './retry';

/** What is needed of a D1 database, or of a session of one. */
export type ShardClient = Pick<D1Database, 'prepare' | 'batch'>;

export interface BoundStatement {
  readonly sql: string;
  readonly params: readonly unknown[];
}

/** D1 rows as arrays, or as objects whose columns of one name have collapsed, as the caller of D1 asked for. */
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
}

export type Meta = D1Meta & Record<string, unknown>;

/** The databases by name. Knows how to run a statement on one of them, and how many may run at a time. */
export class ShardSet {
  constructor(
    readonly clients: ReadonlyMap<string, ShardClient>,
    readonly concurrency: number,
  ) {}

  client(shard: string): ShardClient {
    return this.clients.get(shard) as ShardClient;
  }

  prepare(shard: string, { sql, params }: BoundStatement): D1PreparedStatement {
    const statement = this.client(shard).prepare(sql);
    return params.length > 0 ? statement.bind(...params) : statement;
  }

  /** Runs something on one shard, again after transient errors where that is safe; what it throws names the shard. */
  async on<T>(
    shard: string,
    sql: string,
    { tables, write }: Purpose,
    run: (client: ShardClient) => Promise<T>,
  ): Promise<T> {
    try {
      return await withRetries(write, () => run(this.client(shard)));
    } catch (error) {
      if (error instanceof ShardedDrizzleError) throw error;
      const isUnknown = write && outcomeOf(error) === 'unknown';
      throw new (isUnknown ? UnknownOutcomeError : ShardQueryError)(shard, error, { tables, sql });
    }
  }

  rows(shard: string, statement: BoundStatement, format: RowFormat, purpose: Purpose): Promise<ShardRows> {
    return this.on(shard, statement.sql, purpose, async () => {
      if (format === 'objects') return fromObjects(await this.prepare(shard, statement).all());
      const [columns, ...rows] = await this.prepare(shard, statement).raw({ columnNames: true });
      return { columns: columns as string[], rows: rows as unknown[][], meta: emptyMeta() };
    });
  }

  /** Several statements on one shard: one transaction, one round trip. */
  batch(shard: string, statements: readonly BoundStatement[], purpose: Purpose): Promise<ShardRows[]> {
    return this.on(shard, statements[0]?.sql ?? '', purpose, async (client) => {
      const results = await client.batch(statements.map((statement) => this.prepare(shard, statement)));
      return results.map(fromObjects);
    });
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
    const workers = Array.from({ length: Math.min(this.concurrency, items.length) }, worker);
    const [failure] = (await Promise.allSettled(workers)).filter((one) => one.status === 'rejected');
    if (failure) throw failure.reason;
    return results;
  }
}

function fromObjects(result: D1Result): ShardRows {
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
