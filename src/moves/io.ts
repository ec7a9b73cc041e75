import type { Catalog } from '../catalog/catalog';
import { withRetries } from '../execution/retry';
import type { BoundStatement } from '../sql/bound';
import type { MoveEvent } from '../telemetry/channels';
import type { Pace } from './pace';

export type Row = Readonly<Record<string, unknown>>;

/** What driving a move needs of the world: the same in a Worker and in the coordinator. */
export interface MoveIo {
  readonly cluster: string;
  readonly catalog: Catalog;
  /** One batch on one shard; the rows of each statement. */
  readonly run: (shard: string, statements: readonly BoundStatement[]) => Promise<Row[][]>;
  /** Knows of all calls of `run`. */
  readonly pace: Pace;
  /** Told of each step that is about to be taken. */
  readonly onStep: (event: MoveEvent) => void;
}

/** Runs batches on databases, again after transient errors: every batch of a move may be repeated. */
export function runOn(databases: ReadonlyMap<string, D1Database>, pace: Pace): MoveIo['run'] {
  return (shard, statements) => {
    const database = databases.get(shard);
    if (!database) throw new Error(`There is no binding for shard ${shard}.`);
    return withRetries(false, async () => {
      await pace.breathe();
      const began = Date.now();
      const results = await database.batch<Row>(
        statements.map(({ sql, params }) => {
          const statement = database.prepare(sql);
          return params.length > 0 ? statement.bind(...params) : statement;
        }),
      );
      const ranMs = results.reduce((sum, { meta }) => sum + meta.duration, 0);
      pace.called(shard, Date.now() - began, ranMs, charsOf(statements));
      return results.map((result) => result.results);
    });
  };
}

const charsOf = (statements: readonly BoundStatement[]): number =>
  statements.reduce(
    (sum, { params }) => params.reduce<number>((own, one) => own + (typeof one === 'string' ? one.length : 0), sum),
    0,
  );

/** What a batch of a move has raised: `PINNED`, `CLOSED`, `PHASE landed`, ... */
export function raisedBy(error: unknown): { readonly kind: string; readonly said: string } | undefined {
  const message = error instanceof Error ? error.message : String(error);
  const found = /SHARD_([A-Z_]+)(?: ([\w-]*))?/.exec(message);
  return found ? { kind: found[1] as string, said: found[2] ?? '' } : undefined;
}
