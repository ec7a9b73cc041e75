import { MoveInProgressError, type ShardedDrizzleError, StaleRouteError } from '../errors';
import type { Attempt } from '../placement/attempt';
import type { PlacedKey } from '../placement/guard';
import { type AdoptionSource, Doubt, Refusal } from '../placement/signals';
import type { RetryReason, Telemetry } from '../telemetry/counters';
import { noteRetry } from './observe';
import { jittered, pause } from './retry';

/** A key that moved is found in one or two steps; more means that what shards, hints and map say does not come to rest. */
const MAX_FOLLOWS = 12;
const FIRST_WAIT_MS = 5;
const MAX_WAIT_MS = 250;

/** How often, and for how long, a statement follows the answers of shards that refuse it. */
export interface Patience {
  /** How long a write waits for rows that are being moved, in milliseconds. */
  readonly moveTimeoutMs: number;
  readonly telemetry: Telemetry;
  /** Asks the shards of keys whether they own them: a Refusal says that they do not. */
  readonly verify: (attempt: Attempt, keys: readonly PlacedKey[]) => Promise<unknown>;
  /** Looks into databases that came with rows, and gives the try after that. */
  readonly probe: (
    attempt: Attempt,
    keys: readonly PlacedKey[],
    sources: readonly AdoptionSource[],
  ) => Promise<Attempt>;
  /** Told of a shard to which another one has sent us. */
  readonly onMoved: (shard: string) => void;
}

/**
 * Runs something until no shard refuses it any more. What refuses has run nothing, so that all of it can be done again with
 * the next {@link Attempt}.
 *
 * @throws MoveInProgressError, StaleRouteError when patience ends.
 */
export async function untilAccepted<T>(
  first: Attempt,
  { moveTimeoutMs, telemetry, onMoved, verify, probe }: Patience,
  tables: readonly string[],
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  let attempt = first;
  let follows = 0;
  let waits = 0;
  let deadline = 0;
  let isFresh = false;
  for (;;) {
    try {
      return await run(attempt);
    } catch (caught) {
      let error = caught;
      if (error instanceof Doubt) {
        // By the map as it is now, and then by what the shards themselves say.
        if (!isFresh) {
          isFresh = true;
          attempt = await attempt.refreshed();
          continue;
        }
        error = await refusalOf(verify(attempt, error.keys), error.error);
      }
      if (error instanceof Refusal && error.signal.kind === 'adopting' && follows++ < MAX_FOLLOWS) {
        const waitedMs = follows > 2 ? jittered(FIRST_WAIT_MS, ++waits, MAX_WAIT_MS) : 0;
        if (waitedMs > 0) await pause(waitedMs);
        noteRetry(telemetry, { shard: error.shard, reason: 'not-owner', attempt: follows + waits, waitedMs });
        const next = await probed(probe(attempt, error.keys, error.signal.sources));
        if (!(next instanceof Refusal)) {
          attempt = next;
          continue;
        }
        // What is refused while databases are looked into has changed nothing either.
        error = next;
      }
      if (!(error instanceof Refusal)) throw error;
      const { signal, shard } = error;
      const isWait = WAITS.has(signal.kind);
      const now = Date.now();
      if (deadline === 0) deadline = now + moveTimeoutMs;
      if (isWait ? now >= deadline : ++follows > MAX_FOLLOWS) throw givenUp(error, tables, moveTimeoutMs);
      const waitedMs = isWait || follows > 2 ? jittered(FIRST_WAIT_MS, ++waits, MAX_WAIT_MS) : 0;
      if (waitedMs > 0) await pause(waitedMs);
      noteRetry(telemetry, { shard, reason: reasonOf(signal.kind), attempt: follows + waits, waitedMs });
      if (isWait) follows = 0;
      // A replica may be behind, of what was moved away or to it.
      for (const name of signal.kind === 'moved' ? signal.keys.map(({ to }) => to) : [shard]) onMoved(name);
      // While a move is being closed, its addresses lead further than the map, which the catalog has after that.
      attempt = await attempt.next(error, isWait ? waits % 2 === 0 && signal.kind !== 'busy' : follows > 2);
    }
  }
}

async function probed(probing: Promise<Attempt>): Promise<Attempt | Refusal> {
  try {
    return await probing;
  } catch (error) {
    if (error instanceof Doubt) throw error.error;
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/** What a promise is refused with; `otherwise` when it is not. */
const refusalOf = (promise: Promise<unknown>, otherwise: Error): Promise<unknown> =>
  promise.then(
    () => otherwise,
    (error: unknown) => error,
  );

const WAITS: ReadonlySet<string> = new Set(['busy', 'unbalanced', 'unsettled', 'unpinned']);

const reasonOf = (kind: Refusal['signal']['kind']): RetryReason =>
  kind === 'moved' || kind === 'busy' ? kind : WAITS.has(kind) ? 'unbalanced' : 'not-owner';

function givenUp({ shard, signal }: Refusal, tables: readonly string[], moveTimeoutMs: number): ShardedDrizzleError {
  if (signal.kind === 'busy' || signal.kind === 'unpinned') {
    return new MoveInProgressError(
      `Rows on ${shard} are being moved, or written on every shard by others, and were not free within ${moveTimeoutMs} ms. Nothing was written.`,
      { tables, shard },
    );
  }
  if (WAITS.has(signal.kind)) {
    return new StaleRouteError(
      `Who owns which rows kept changing between the answers of the shards for ${moveTimeoutMs} ms: a move may have stopped half-way, or a database was restored.`,
      { tables, shard },
    );
  }
  return new StaleRouteError(`${shard} kept refusing (${signal.kind}) after ${MAX_FOLLOWS} tries at other addresses.`, {
    tables,
    shard,
  });
}
