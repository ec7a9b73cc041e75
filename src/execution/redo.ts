import type { Catalog } from '../catalog/catalog';
import type { ReferenceWrite } from '../catalog/reference-writes';
import { ShardQueryError } from '../errors';
import { type Pin, pinnedStatements, unpinStatements } from '../placement/pins';
import { signalOf } from '../placement/signals';
import { identityCheck } from '../placement/system-tables';
import type { BoundStatement } from '../sql/bound';
import { jsonText } from '../sql/json-values';
import { outcomeOf } from './retry';

/** A writer of reference tables that was not heard of for so long has died, or is slow: others finish its write. */
export const REDO_AFTER_MS = 8000;

/** What one shard has to run of a journaled write. */
export interface RedoPart {
  readonly shard: string;
  readonly statements: readonly BoundStatement[];
}

/** What finishing a write needs of the world. */
export interface RedoIo {
  readonly cluster: string;
  readonly catalog: Catalog;
  /** One batch on one shard; it may be repeated. */
  readonly run: (shard: string, statements: readonly BoundStatement[]) => Promise<unknown>;
}

type Encoded = readonly [sql: string, values: readonly unknown[]];

/** The parts as text for the journal: shards that run the same statements share them. */
export function encodeParts(parts: readonly RedoPart[]): string {
  const shardsOf = new Map<string, string[]>();
  for (const { shard, statements } of parts) {
    const text = textOf(statements);
    const same = shardsOf.get(text);
    if (same) same.push(shard);
    else shardsOf.set(text, [shard]);
  }
  return `[${[...shardsOf].map(([text, shards]) => `[${JSON.stringify(shards)},${text}]`).join(',')}]`;
}

/** Statements with their values; of two that are the same the text is the same. */
export const textOf = (statements: readonly BoundStatement[]): string =>
  `[${statements.map(({ sql, params }) => `[${JSON.stringify(sql)},[${params.map(jsonText).join(',')}]]`).join(',')}]`;

export function decodeParts(text: string): RedoPart[] {
  const groups = JSON.parse(text) as [shards: string[], statements: Encoded[]][];
  return groups.flatMap(([shards, list]) => {
    const statements = list.map(([sql, values]) => ({ sql, params: values.map(boundValue) }));
    return shards.map((shard) => ({ shard, statements }));
  });
}

/** Bytes are an array with their hex digits: see {@link jsonText}. */
const boundValue = (value: unknown): unknown =>
  Array.isArray(value)
    ? Uint8Array.from(String(value[0]).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
    : value;

/**
 * Finishes the write to reference tables that has not ended, if its writer was not heard of lately: one that is committed is
 * applied where its pin still is, so once on each shard; one that is not is barred everywhere.
 *
 * @returns Whether there is one that has not ended.
 * @throws ShardQueryError when a shard cannot be reached. The write stays open, and others wait for it.
 */
export async function redoStale(io: RedoIo, afterMs = REDO_AFTER_MS): Promise<boolean> {
  const write = await io.catalog.openWrite();
  if (!write) return false;
  if (write.idleMs < afterMs) return true;
  await finish(io, write);
  return false;
}

async function finish({ cluster, catalog, run }: RedoIo, { id, state: known, parts }: ReferenceWrite): Promise<void> {
  const pin: Pin = { id, journaled: true };
  const state = known === 'prepared' ? await catalog.decideWrite(id, 'aborted') : known;
  // It has ended meanwhile.
  if (state === undefined) return;
  const isCommitted = state === 'committed';
  for (const { shard, statements } of decodeParts(parts)) {
    const own = isCommitted ? pinnedStatements(pin, statements) : unpinStatements(pin);
    try {
      await run(shard, [...identityCheck(cluster, shard), ...own]);
    } catch (error) {
      if (signalOf(error)?.kind === 'unpinned') continue;
      if (!(isCommitted && isRefusedForGood(error))) throw unfinished(shard, error);
      // It was tried on every shard before it was committed: here are other rows than elsewhere, which `verify` shows.
      await run(shard, [...identityCheck(cluster, shard), ...unpinStatements(pin)]);
    }
  }
  await catalog.endWrite(id);
}

/** SQLite will refuse it again and again. */
export const isRefusedForGood = (error: unknown): boolean =>
  outcomeOf(error) === 'final' &&
  signalOf(error) === undefined &&
  /SQLITE_(CONSTRAINT|ERROR|MISMATCH|TOOBIG|RANGE)/.test(error instanceof Error ? error.message : String(error));

const unfinished = (shard: string, cause: unknown): ShardQueryError =>
  new ShardQueryError(shard, cause, {
    remedy:
      'A write to tables that are whole on every shard was interrupted and must be finished on this shard before others: see to it that the database answers.',
  });
