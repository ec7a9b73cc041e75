import {
  MoveInProgressError,
  PartialWriteError,
  type ShardOutcome,
  ShardQueryError,
  StaleRouteError,
  UnknownOutcomeError,
} from '../errors';
import { arriveStatement, memoStatement } from '../placement/claims';
import type { Demand } from '../placement/guard';
import { Refusal } from '../placement/signals';
import type { BoundStatement } from '../sql/bound';
import { jittered, pause } from './retry';
import { rowsOf, type ShardRows, type ShardSet } from './shard-set';

/** What one shard has to run of a write, and what it has to own for it. */
export interface Part {
  readonly demand: Demand;
  readonly statements: readonly BoundStatement[];
}

export interface WriteOptions {
  readonly tables: readonly string[];
  /** False for a batch of reads. Default true. */
  readonly write?: boolean;
  /** Try it on every shard first, and roll back. */
  readonly rehearse: boolean;
  /** How long a part waits for rows that are being moved, after other parts were written. */
  readonly moveTimeoutMs: number;
  /** The part for the shard that has its keys now; undefined when they have separated, or cannot be found. */
  readonly reroute?: (part: Part, refusal: Refusal) => Promise<Part | undefined>;
}

/** A part that was written, or was refused before anything of it ran, or has failed. */
export type PartOutcome =
  | { readonly shard: string; readonly results: readonly ShardRows[] }
  | { readonly shard: string; readonly refusal: Refusal }
  | { readonly shard: string; readonly error: ShardQueryError };

/** A write to a shard that a key's home has named begins with the record that the key lives there. */
export function guardedWrite(
  { own, write }: Demand,
  statements: readonly BoundStatement[],
): { readonly statements: readonly BoundStatement[]; readonly skip: number } {
  const arriving = write ? own.filter((key) => key.known !== undefined) : [];
  const probed = write ? own.filter((key) => key.probed !== undefined) : [];
  if (arriving.length + probed.length === 0) return { statements, skip: 0 };
  const before = [
    ...(arriving.length > 0 ? [arriveStatement(arriving)] : []),
    ...(probed.length > 0 ? [memoStatement(probed)] : []),
  ];
  return { statements: [...before, ...statements], skip: before.length };
}

/**
 * Writes on several shards, each atomic by itself. The results are in the order of the parts.
 *
 * @throws Refusal or ShardQueryError when nothing has been written; PartialWriteError when it was written on some only.
 */
export async function writeParts(
  shards: ShardSet,
  parts: readonly Part[],
  options: WriteOptions,
): Promise<ShardRows[][]> {
  const [first, ...others] = parts;
  if (!first) return [];
  if (others.length === 0) return [await sendPart(shards, first, options)];
  await prepareParts(shards, parts, options);
  const outcomes = await settleParts(shards, parts, options);
  // A part that is refused after others have been written is tried again: a little later, or where its keys are now.
  const deadline = Date.now() + options.moveTimeoutMs;
  const left = [...parts];
  for (let round = 1; outcomes.some((one) => 'refusal' in one) && Date.now() < deadline; round++) {
    if (!outcomes.some((one) => 'results' in one)) break;
    await pause(jittered(10, round, 250));
    for (const [i, one] of outcomes.entries()) {
      if (!('refusal' in one)) continue;
      const part = left[i] as Part;
      const next = one.refusal.signal.kind === 'busy' ? part : await options.reroute?.(part, one.refusal);
      if (!next) return resultsOf(outcomes, options.tables);
      left[i] = next;
      [outcomes[i]] = (await settleParts(shards, [next], options)) as [PartOutcome];
    }
  }
  return resultsOf(outcomes, options.tables);
}

/** What can be known before the first part is written: that no shard refuses its own, and that each is who it is taken for. */
export async function prepareParts(
  shards: ShardSet,
  parts: readonly Part[],
  { rehearse: rehearses, tables, write = true }: Pick<WriteOptions, 'rehearse' | 'tables' | 'write'>,
): Promise<void> {
  const [first, ...others] = parts;
  if (!first || others.length === 0 || !write) return;
  const names = parts.map(({ demand }) => demand.shard);
  if (rehearses) await rehearse(shards, parts, tables);
  else await shards.verify(names, first.demand.cluster, { tables, write });
}

const REHEARSED = 'SHARD_REHEARSED';

/**
 * Runs each part in a batch that ends in an error of ours and so is rolled back. A constraint then fails before anything is
 * written anywhere. (`json_extract` with a bad path is an error that a plain SELECT can raise, and carries a text.)
 */
export async function rehearse(shards: ShardSet, parts: readonly Part[], tables: readonly string[]): Promise<void> {
  const raise = { sql: `select json_extract('{}', '${REHEARSED}')`, params: [] };
  await shards.askAll(parts, async ({ demand, statements }) => {
    try {
      const { statements: all } = guardedWrite(demand, statements);
      // Rolled back, it can be repeated like a read.
      await shards.guarded(demand, [...all, raise], { tables, write: false });
    } catch (error) {
      if (!(error instanceof ShardQueryError) || !error.message.includes(REHEARSED)) throw error;
    }
  });
}

export async function sendPart(
  shards: ShardSet,
  part: Part,
  { tables, write = true }: Pick<WriteOptions, 'tables' | 'write'>,
): Promise<ShardRows[]> {
  const { statements, skip } = guardedWrite(part.demand, part.statements);
  const { results } = await shards.guarded(part.demand, statements, { tables, write });
  return results.slice(skip).map(rowsOf);
}

/** Every part is tried, whatever becomes of the others. */
export function settleParts(
  shards: ShardSet,
  parts: readonly Part[],
  options: Pick<WriteOptions, 'tables' | 'write'>,
): Promise<PartOutcome[]> {
  const { tables } = options;
  return shards.forEach(parts, async (part): Promise<PartOutcome> => {
    const { shard } = part.demand;
    try {
      return { shard, results: await sendPart(shards, part, options) };
    } catch (error) {
      if (error instanceof Refusal) return { shard, refusal: error };
      return { shard, error: error instanceof ShardQueryError ? error : new ShardQueryError(shard, error, { tables }) };
    }
  });
}

/** The results when all parts were written. Otherwise throws: the failure itself when nothing was, or which parts were. */
export function resultsOf(outcomes: readonly PartOutcome[], tables: readonly string[]): ShardRows[][] {
  const failed = outcomes.flatMap((one) => ('error' in one ? [one.error] : []));
  const refused = outcomes.flatMap((one) => ('refusal' in one ? [one.refusal] : []));
  if (failed.length + refused.length === outcomes.length && outcomes.length > 0) {
    // One that may have been applied must not look like one that was not.
    throw failed.find((error) => error instanceof UnknownOutcomeError) ?? failed[0] ?? refused[0];
  }
  if (failed.length + refused.length > 0)
    throw new PartialWriteError(
      outcomes.map((one) => outcomeOf(one, tables)),
      { tables },
    );
  return outcomes.flatMap((one) => ('results' in one ? [[...one.results]] : []));
}

function outcomeOf(one: PartOutcome, tables: readonly string[]): ShardOutcome {
  const { shard } = one;
  if ('results' in one) return { shard, changes: changesOf(one.results) };
  if ('error' in one) return { shard, error: one.error };
  const text = `${shard} refused its part (${one.refusal.signal.kind}).`;
  const Refused = one.refusal.signal.kind === 'busy' ? MoveInProgressError : StaleRouteError;
  const cause = new Refused(text, { tables, shard, remedy: 'Write the rows of this part again.' });
  return { shard, error: new ShardQueryError(shard, cause, { tables }) };
}

/** What RETURNING gave was changed. */
export const changesOf = (results: readonly ShardRows[]): number =>
  results.reduce((sum, { meta, rows }) => sum + Math.max(meta.changes, rows.length), 0);
