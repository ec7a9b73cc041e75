/**
 * D1 errors that pass by themselves, as Cloudflare lists them: https://developers.cloudflare.com/d1/best-practices/retry-queries/
 * `reached: false`: the database never saw the statement, so that a write may be repeated as well.
 */
const TRANSIENT: readonly { readonly text: string; readonly reached: boolean }[] = [
  { text: 'Network connection lost', reached: true },
  { text: 'storage caused object to be reset', reached: true },
  { text: 'reset because its code was updated', reached: true },
  { text: "Can't read from request stream", reached: true },
  { text: 'Cannot resolve D1 DB due to transient issue', reached: false },
  // Local databases alone, which another process has open: `wrangler dev` and the command line. The transaction was rolled back.
  { text: 'SQLITE_BUSY', reached: false },
  { text: 'Failed to get session commit token', reached: true },
];

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 2000;

/** What an error says of the statement that met it. */
export type Outcome = 'final' | 'not-run' | 'unknown';

/** Did the statement run? `unknown`: the answer was lost, and it may have. */
export function outcomeOf(error: unknown): Outcome {
  const message = error instanceof Error ? error.message : String(error);
  const found = TRANSIENT.find(({ text }) => message.includes(text));
  if (!found) return 'final';
  return found.reached ? 'unknown' : 'not-run';
}

/**
 * Runs something again while its errors are transient: a read always, a write only when it surely has not run. At most 4
 * times, with jittered pauses of up to 50, 100 and 200 ms.
 */
export async function withRetries<T>(write: boolean, run: () => Promise<T>, listener?: RetryListener): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      const outcome = outcomeOf(error);
      const mayRepeat = outcome === 'not-run' || (outcome === 'unknown' && !write);
      if (!mayRepeat || attempt === ATTEMPTS) throw error;
      const waitMs = jittered(FIRST_DELAY_MS, attempt, MAX_DELAY_MS);
      listener?.(waitMs, attempt);
      await pause(waitMs);
    }
  }
}

/** Told before each repetition: how long is waited, and the how-manieth try has failed. */
export type RetryListener = (waitMs: number, attempt: number) => void;

/** Up to `firstMs`, twice as long with each attempt, at most `maxMs`: at random, so that those who wait do not come at once. */
export const jittered = (firstMs: number, attempt: number, maxMs: number): number =>
  Math.random() * Math.min(firstMs * 2 ** (attempt - 1), maxMs);

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
