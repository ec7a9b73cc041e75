import { ShardedDrizzleError } from '../../src/errors';
import { difference, type Ordering } from './compare';
import type { Sides } from './sides';

/** How a statement ended. */
export type Outcome<T> =
  | { readonly type: 'done'; readonly value: T }
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  | { readonly type: 'failed'; readonly code: string | undefined; readonly message: string };

/** Errors by which `sharded-drizzle` says that it will not run a statement, before it has run any of it. */
const REFUSALS: ReadonlySet<string> = new Set([
  'UNSUPPORTED_STATEMENT',
  'SHARD_KEY',
  'SHARD_KEY_CHANGE',
  'CROSS_SHARD_BATCH',
  'GATHER_LIMIT',
]);

export async function outcomeOf<T>(run: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { type: 'done', value: await run() };
  } catch (error) {
    const own = ownError(error);
    const message = rootMessage(error);
    if (own && REFUSALS.has(own.code)) return { type: 'refused', code: own.code, message: own.message };
    return { type: 'failed', code: own?.code, message };
  }
}

/** The package's error: what Drizzle throws has it as its cause. */
function ownError(error: unknown): ShardedDrizzleError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof ShardedDrizzleError) return at;
  }
  return undefined;
}

function rootMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : rootMessage(error.cause);
}

/** A query on one database, not yet run. */
export interface Runnable {
  run(): Promise<readonly unknown[]>;
  readonly statement: { readonly sql: string; readonly params: unknown[] };
  readonly ordering: Ordering;
}

export interface ReadTally {
  answered: number;
  /** Those that gave a row at least. */
  withRows: number;
}

/**
 * Runs a query on both sides. No query may be refused: what cannot be pushed down can be gathered.
 *
 * @throws Error with the SQL, the plan, and what differs.
 */
export async function compareAnswers(
  sides: Sides,
  plain: Runnable,
  sharded: Runnable,
  tally: ReadTally,
): Promise<void> {
  const [expected, got] = await Promise.all([outcomeOf(plain.run), outcomeOf(sharded.run)]);
  const wrong = wrongAnswer(expected, got, plain.ordering);
  if (wrong === undefined) {
    tally.answered++;
    if (expected.type === 'done' && expected.value.length > 0) tally.withRows++;
    return;
  }
  const { sql, params } = plain.statement;
  const plan = await sides.explain(plain.statement).catch((error: unknown) => `none: ${String(error)}`);
  throw new Error(
    `${wrong}\n\n${sql}\nparams: ${JSON.stringify(params)}\nplan over ${Object.keys(sides.shards).length} shards: ${plan}`,
  );
}

function wrongAnswer(
  expected: Outcome<readonly unknown[]>,
  got: Outcome<readonly unknown[]>,
  ordering: Ordering,
): string | undefined {
  if (expected.type !== 'done')
    return `One D1 cannot run the query, so it should not have been drawn: ${expected.message}`;
  if (got.type !== 'done') return `One D1 answers, the shards ${got.type}: ${got.code ?? ''} ${got.message}`;
  return difference(expected.value, got.value, ordering);
}
