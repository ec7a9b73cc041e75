import { PartialWriteError, type ShardOutcome, ShardQueryError } from '../errors';
import type { BoundStatement, RowFormat, ShardRows, ShardSet } from './shard-set';

/** What one shard has to run of a write. */
export interface Part {
  readonly shard: string;
  readonly statements: readonly BoundStatement[];
}

export interface WriteOptions {
  readonly format: RowFormat;
  readonly tables: readonly string[];
  /** False for a batch of reads. Default true. */
  readonly write?: boolean;
  /** Try it on every shard first, and roll back. */
  readonly rehearse: boolean;
  /** All parts do the same to the same rows, so what the first refuses the others would. */
  readonly firstAlone: boolean;
}

/**
 * Writes on several shards, each atomic by itself. The results are in the order of the parts.
 *
 * @throws ShardQueryError when nothing has been written; PartialWriteError when it was written on some shards only.
 */
export async function writeParts(
  shards: ShardSet,
  parts: readonly Part[],
  options: WriteOptions,
): Promise<ShardRows[][]> {
  const [first, ...others] = parts;
  if (!first) return [];
  if (others.length === 0) return [await send(shards, first, options)];
  if (options.rehearse) await rehearse(shards, parts, options.tables);
  if (!options.firstAlone || options.rehearse) return settle(shards, parts, options, []);
  const result = await send(shards, first, options);
  return [result, ...(await settle(shards, others, options, [{ shard: first.shard, changes: changesOf(result) }]))];
}

const REHEARSED = 'SHARD_REHEARSED';

/**
 * Runs each part in a batch that ends in an error of ours and so is rolled back. A constraint then fails before anything is
 * written anywhere. (`json_extract` with a bad path is an error that a plain SELECT can raise, and carries a text.)
 */
async function rehearse(shards: ShardSet, parts: readonly Part[], tables: readonly string[]): Promise<void> {
  const raise = { sql: `select json_extract('{}', '${REHEARSED}')`, params: [] };
  await shards.forEach(parts, async ({ shard, statements }) => {
    try {
      // Rolled back, it can be repeated like a read.
      await shards.batch(shard, [...statements, raise], { tables, write: false });
    } catch (error) {
      if (!(error instanceof ShardQueryError) || !error.message.includes(REHEARSED)) throw error;
    }
  });
}

/** One statement keeps the row format that was asked for; several are one transaction, whose rows D1 gives as objects. */
async function send(
  shards: ShardSet,
  { shard, statements }: Part,
  { format, tables, write = true }: WriteOptions,
): Promise<ShardRows[]> {
  const [only, ...more] = statements;
  if (only && more.length === 0) return [await shards.rows(shard, only, format, { tables, write })];
  return shards.batch(shard, statements, { tables, write });
}

/** All parts are waited for; when only some succeeded, the error says which. */
async function settle(
  shards: ShardSet,
  parts: readonly Part[],
  options: WriteOptions,
  before: readonly ShardOutcome[],
): Promise<ShardRows[][]> {
  const { tables } = options;
  const settled = await shards.forEach(parts, async (part) => {
    try {
      return { results: await send(shards, part, options) };
    } catch (error) {
      return { error: error instanceof ShardQueryError ? error : new ShardQueryError(part.shard, error, { tables }) };
    }
  });
  const outcomes = settled.map((one, i): ShardOutcome => {
    const { shard } = parts[i] as Part;
    return one.error ? { shard, error: one.error } : { shard, changes: changesOf(one.results) };
  });
  const failure = outcomes.find((outcome) => outcome.error)?.error;
  if (failure && before.length === 0 && outcomes.every((outcome) => outcome.error)) throw failure;
  if (failure) throw new PartialWriteError([...before, ...outcomes], { tables });
  return settled.flatMap((one) => (one.results ? [one.results] : []));
}

/** Rows as arrays come without a meta; what RETURNING gave was changed. */
const changesOf = (results: readonly ShardRows[]): number =>
  results.reduce((sum, { meta, rows }) => sum + Math.max(meta.changes, rows.length), 0);
