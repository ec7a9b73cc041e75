import pThrottle from 'p-throttle';
import { pause } from '../../execution/retry';

/** How fast requests may go out, and how long one may take. */
export interface Pace {
  /** At most so many requests in any `windowMs`. */
  readonly requests: number;
  readonly windowMs: number;
  /** How long the whole of an answer may take, once its request is sent. */
  readonly timeoutMs: number;
  /** How often a request is sent again that was refused as one too many. */
  readonly refusals: number;
  /** How long to wait after a refusal that does not say. */
  readonly refusedMs: number;
  /** Told of a refusal, after which nothing is sent for so long: up to 5 minutes. */
  readonly onRefused?: ((waitMs: number) => void) | undefined;
}

/**
 * 1,200 requests in 5 minutes are allowed, the next one blocks all for 5 minutes:
 * https://developers.cloudflare.com/fundamentals/api/reference/limits/
 * Nearly a quarter of it in a quarter of the time, so that a stall is soon over. Four windows are 4 seconds longer than the
 * API's one: the requests of a fifth that travel faster than those of the first must not arrive within it. A batch is cut
 * off by D1 after 30 seconds, and six refusals of a minute outlast the block.
 */
export const DEFAULT_PACE: Pace = {
  requests: 290,
  windowMs: 76_000,
  timeoutMs: 60_000,
  refusals: 6,
  refusedMs: 60_000,
};

/** A `retry-after` beyond the length of a block is not believed. */
const LONGEST_REFUSAL_MS = 300_000;

type Send = typeof fetch;

/**
 * `fetch` within the rate limit. What is refused with 429 was not run, so it is sent again when the answer says; everything
 * else, a lost connection as well, is the caller's: only it knows what may be repeated.
 *
 * @example
 * createClient({ fetch: pacedFetch(DEFAULT_PACE), maxRetries: 0, resources: [D1Resource] });
 */
export function pacedFetch(pace: Pace): Send {
  // With weights it looks at when requests left, not at when they should have: a busy process sends late ones together.
  const throttle = pThrottle({ limit: pace.requests, interval: pace.windowMs, strict: true, weight: () => 1 });
  // The time begins when the request leaves, and not, as that of the client's own signal, when it begins to wait for its turn.
  const send: Send = throttle((input: Parameters<Send>[0], init?: Parameters<Send>[1]) =>
    fetch(input, { ...init, signal: AbortSignal.timeout(pace.timeoutMs) }),
  );
  /** All are refused until then. */
  let refusedUntil = 0;

  return async (input, init) => {
    for (let refusals = 0; ; refusals++) {
      while (refusedUntil > Date.now()) await pause(refusedUntil - Date.now());
      const response = await send(input, init);
      if (response.status !== 429 || refusals === pace.refusals) return response;
      await response.body?.cancel();
      const waitMs = retryAfterMs(response.headers) ?? pace.refusedMs;
      refusedUntil = Math.max(refusedUntil, Date.now() + waitMs);
      pace.onRefused?.(waitMs);
    }
  };
}

/** Seconds or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfterMs(headers: { get(name: string): string | null }): number | undefined {
  const said = headers.get('retry-after');
  if (!said) return undefined;
  const ms = /^\d+$/.test(said) ? Number(said) * 1000 : Date.parse(said) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_REFUSAL_MS);
}
