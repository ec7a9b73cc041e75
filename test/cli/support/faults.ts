/** What goes wrong with a request on purpose. */
export type Fault =
  /** Refused: nothing is run. */
  | { readonly status: number; readonly code?: number; readonly message?: string; readonly retryAfter?: string }
  /** The connection breaks before anything is run. */
  | 'drop'
  /** It is run, and the connection breaks before the answer. */
  | 'lose answer'
  /** It is run, and half of the answer arrives. */
  | 'cut answer';

/** How many requests the server takes in how long. */
export interface Limit {
  readonly requests: number;
  readonly windowMs: number;
}

/** Times of accepted requests; says of the next one how long it would have to wait. */
export class RequestWindow {
  readonly #times: number[] = [];
  readonly #limit: Limit;

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  /** Milliseconds to wait, 0 when the request is accepted. */
  waitMs(now: number): number {
    const { requests, windowMs } = this.#limit;
    while (this.#times.length > 0 && now - (this.#times[0] as number) >= windowMs) this.#times.shift();
    if (this.#times.length >= requests) return windowMs - (now - (this.#times[0] as number));
    this.#times.push(now);
    return 0;
  }
}
