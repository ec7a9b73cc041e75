import type { Failing } from './fault';
import { type D1Call, InterceptedD1, type Interceptor } from './intercepted-d1';

/** Milliseconds that a call takes longer. */
export type Latency = number | ((call: D1Call) => number);

export interface Faults {
  /** Returns the error that a statement shall fail with. One failing statement fails its whole batch. */
  readonly failOn?: Failing;
  /**
   * `before`: the database never sees the call. `after`: it does the work and its answer is lost, as when a connection
   * breaks after the commit.
   * @default 'before'
   */
  readonly when?: 'before' | 'after';
  readonly latency?: Latency;
}

/**
 * A real database that fails or is slow when told to.
 *
 * @example
 * faultyD1(env.DB_1, { failOn: (sql) => (sql.startsWith('select') ? new Error('D1_ERROR: overloaded') : undefined) });
 */
export function faultyD1(database: D1Database, faults: Faults): D1Database {
  const { failOn = () => undefined, when, latency = 0 } = faults;
  return new InterceptedD1(database, chain([slowing(latency), failing(failOn, when)]));
}

/** Fails calls one of whose statements `failOn` has an error for. */
export function failing(failOn: Failing, when: Faults['when'] = 'before'): Interceptor {
  return async (call, run) => {
    const error = firstError(call, failOn);
    if (error && when === 'before') throw error;
    const result = await run();
    if (error) throw error;
    return result;
  };
}

/** Makes each call wait before it is made. */
export function slowing(latency: Latency): Interceptor {
  return async (call, run) => {
    await sleep(typeof latency === 'number' ? latency : latency(call));
    return run();
  };
}

/** The first one stands outermost. */
export const chain =
  (interceptors: readonly Interceptor[]): Interceptor =>
  <T>(call: D1Call, run: () => Promise<T>) =>
    interceptors.reduceRight<() => Promise<T>>((inner, intercept) => () => intercept(call, inner), run)();

function firstError(call: D1Call, failOn: Failing): Error | undefined {
  for (const { sql } of call.statements) {
    const error = failOn(sql, call);
    if (error) return error;
  }
  return undefined;
}

async function sleep(milliseconds: number): Promise<void> {
  if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
