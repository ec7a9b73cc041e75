import { redoStale } from '../execution/redo';
import { jittered, pause } from '../execution/retry';
import { type MoveIo, raisedBy } from './io';

/** A write to all shards that has died leaves a pin for 90 s. */
const PINNED_MS = 100_000;
/** About a second of waiting. */
const REDO_EVERY = 16;

/**
 * Runs something again as long as a write to all shards that is under way keeps it out, for 100 s at most. The pin of a write to
 * reference tables stays until the write is finished: when its writer has died, that is done here.
 *
 * @param onWait Called before each pause.
 */
export async function throughPins<T>(io: MoveIo, run: () => Promise<T>, onWait?: () => Promise<unknown>): Promise<T> {
  const deadline = Date.now() + PINNED_MS;
  for (let round = 1; ; round++) {
    try {
      return await run();
    } catch (error) {
      if (raisedBy(error)?.kind !== 'PINNED' || Date.now() > deadline) throw error;
      await onWait?.();
      if (round % REDO_EVERY === 0) await redoStale(io);
      await pause(jittered(10, round, 120));
    }
  }
}
