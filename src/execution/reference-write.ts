import { PartialWriteError, ShardQueryError, UnknownOutcomeError } from '../errors';
import type { Attempt } from '../placement/attempt';
import type { Demand } from '../placement/guard';
import { type Pin, pinnedStatements, pinStatements, unpinStatements } from '../placement/pins';
import { Refusal } from '../placement/signals';
import { isBalanced } from './balance';
import { encodeParts, isRefusedForGood, REDO_AFTER_MS, type RedoIo, redoStale, textOf } from './redo';
import { demandOf, type Executor } from './run';
import { rowsOf, type ShardRows } from './shard-set';
import { changesOf, type Part, rehearse } from './write';

/** `applied`: it is there, and what it returned is lost. */
type Outcome = { readonly results: readonly ShardRows[] } | { readonly error: ShardQueryError } | 'applied';

/**
 * A write to tables that are whole on every shard: it is applied on all of them or on none, also when its writer dies half-way.
 *
 * It is journaled in the catalog, one at a time (`prepared`); pins hold moves off; it is tried on every shard and rolled back;
 * then the catalog is told that it will be done (`committed`, the point from which on there is only forward); then each shard
 * runs its part in the batch that takes its pin away. Whoever finds a writer that is not heard of any more goes on: see
 * {@link redoStale}.
 *
 * @param demandAt What is checked of a shard when its pin is placed.
 * @throws Refusal or ShardQueryError when nothing was written and nothing will be; PartialWriteError, whose remedy says whether
 * the rest will follow.
 */
export async function writeReference(
  executor: Executor,
  attempt: Attempt,
  parts: readonly Part[],
  demandAt: (shard: string) => Demand,
  tables: readonly string[],
): Promise<ShardRows[][]> {
  const { shards, cluster } = executor;
  const { catalog } = cluster.resolver;
  const pin: Pin = { id: await prepareOne(executor, attempt, parts), journaled: true };
  const names = parts.map(({ demand }) => demand.shard);
  const purpose = { tables, write: false };
  const bar = (shard: string) => shards.guarded(demandOf(attempt, shard, [], false), unpinStatements(pin), purpose);
  try {
    const answers = await shards.askAll(names, (shard) => shards.guarded(demandAt(shard), pinStatements(pin), purpose));
    if (!isBalanced(answers, attempt.base)) throw new Refusal(names[0] as string, { kind: 'unbalanced' }, []);
    if (cluster.rehearseWrites) await rehearse(shards, parts, tables);
    await commit(executor, pin, names[0] as string, tables);
  } catch (error) {
    // What fails here, others do: the write stays open until every shard has been told.
    if (!(error instanceof UnknownOutcomeError)) await undo(executor, pin, names, bar).catch(() => {});
    throw error;
  }
  const outcomes = await shards.forEach(parts, (part) => applyOnce(executor, pin, part, tables));
  const failed = outcomes.flatMap((one, i) =>
    isFailure(one) ? [{ shard: names[i] as string, error: one.error }] : [],
  );
  const refused = failed.filter(({ error }) => isRefusedForGood(error));
  if (refused.length === failed.length) {
    // Nobody can apply it there. Whoever comes next must not try.
    const isEnded = await shards
      .forEach(refused, ({ shard }) => bar(shard))
      .then(
        () => true,
        () => false,
      );
    if (isEnded) await catalog.endWrite(pin.id).catch(() => {});
  }
  if (failed.length > 0) throw failureOf(names, outcomes, failed.length === refused.length, tables);
  return resultsOf(parts, outcomes, tables);
}

const isFailure = (one: Outcome): one is { readonly error: ShardQueryError } => one !== 'applied' && 'error' in one;

/** Journals the write, unless another one has not ended: that one is waited for, or finished when its writer seems dead. */
async function prepareOne({ shards, cluster }: Executor, attempt: Attempt, parts: readonly Part[]): Promise<number> {
  const { catalog } = cluster.resolver;
  const text = encodeParts(parts.map(({ demand, statements }) => ({ shard: demand.shard, statements })));
  const { id, isOwn, idleMs } = await catalog.prepareWrite(crypto.randomUUID(), text);
  if (isOwn) return id;
  if (idleMs >= REDO_AFTER_MS) {
    const run: RedoIo['run'] = (shard, statements) => shards.rows(shard, statements);
    await redoStale({ cluster: attempt.cluster, catalog, run });
  }
  throw new Refusal(attempt.shards[0] as string, { kind: 'busy' }, []);
}

/** @throws Refusal when the write was aborted by somebody who thought its writer dead; UnknownOutcomeError when that cannot be told. */
async function commit({ cluster }: Executor, { id }: Pin, first: string, tables: readonly string[]): Promise<void> {
  const { catalog } = cluster.resolver;
  let state: string | undefined;
  try {
    state = await catalog.decideWrite(id, 'committed');
  } catch (error) {
    try {
      // Unless it was committed, and only the answer lost.
      state = await catalog.decideWrite(id, 'aborted');
    } catch {
      throw new UnknownOutcomeError(first, error, {
        tables,
        remedy:
          'Within seconds it will be applied on every shard, or on none. Read the rows before writing them again.',
      });
    }
  }
  if (state !== 'committed') throw new Refusal(first, { kind: 'unpinned' }, []);
}

async function undo(
  { shards, cluster }: Executor,
  { id }: Pin,
  names: readonly string[],
  bar: (shard: string) => Promise<unknown>,
): Promise<void> {
  const { catalog } = cluster.resolver;
  if ((await catalog.decideWrite(id, 'aborted')) === 'committed') return;
  await shards.forEach(names, (shard) =>
    bar(shard).catch((error: unknown) => {
      // A database that is not this shard has no pin either.
      if (!(error instanceof Refusal && error.signal.kind === 'identity')) throw error;
    }),
  );
  await catalog.endWrite(id);
}

/** The part of one shard. Its pin makes it safe to repeat. */
async function applyOnce(
  { shards }: Executor,
  pin: Pin,
  { demand, statements }: Part,
  tables: readonly string[],
): Promise<Outcome> {
  const { shard } = demand;
  const batch = pinnedStatements(pin, statements);
  try {
    const { results } = await shards.guarded(demand, batch, { tables, write: true, repeatable: true });
    return { results: results.slice(1, 1 + statements.length).map(rowsOf) };
  } catch (error) {
    if (error instanceof Refusal && error.signal.kind === 'unpinned') return 'applied';
    return { error: error instanceof ShardQueryError ? error : new ShardQueryError(shard, error, { tables }) };
  }
}

function failureOf(
  names: readonly string[],
  outcomes: readonly Outcome[],
  isForGood: boolean,
  tables: readonly string[],
): Error {
  const errors = outcomes.flatMap((one) => (isFailure(one) ? [one.error] : []));
  if (isForGood && errors.length === outcomes.length) return errors[0] as ShardQueryError;
  const remedy = isForGood
    ? 'The rows differ between shards now: $cluster.verify() shows where.'
    : 'Do not write it again: it will be applied on the others as soon as they answer, before any other such write.';
  const list = outcomes.map((one, i) => {
    const shard = names[i] as string;
    if (isFailure(one)) return { shard, error: one.error };
    return one === 'applied' ? { shard } : { shard, changes: changesOf(one.results) };
  });
  return new PartialWriteError(list, { tables, remedy });
}

/** What another shard has answered to the same stands for an answer that was lost. */
function resultsOf(parts: readonly Part[], outcomes: readonly Outcome[], tables: readonly string[]): ShardRows[][] {
  const answered = new Map<string, readonly ShardRows[]>();
  for (const [i, one] of outcomes.entries()) {
    if (one !== 'applied' && 'results' in one) answered.set(textOf((parts[i] as Part).statements), one.results);
  }
  return outcomes.map((one, i) => {
    const { statements, demand } = parts[i] as Part;
    const results = one !== 'applied' && 'results' in one ? one.results : answered.get(textOf(statements));
    if (results) return [...results];
    const cause = new Error('The write was applied on every shard, and what it returned is lost');
    throw new UnknownOutcomeError(demand.shard, cause, { tables, remedy: 'Read the rows; do not write them again.' });
  });
}
