import { type D1Call, InterceptedD1 } from './intercepted-d1';

export interface Faults {
  /** Returns the error that a statement shall fail with. One failing statement fails its whole batch. */
  readonly failOn?: (sql: string, call: D1Call) => Error | undefined;
  /**
   * `before`: the database never sees the call. `after`: it does the work and its answer is lost, as when a connection
   * breaks after the commit.
   * @default 'before'
   */
  readonly when?: 'before' | 'after';
  /** Milliseconds that every call takes longer. */
  readonly latency?: number | ((call: D1Call) => number);
}

/**
 * A real database that fails or is slow when told to.
 *
 * @example
 * faultyD1(env.DB_1, { failOn: (sql) => (sql.startsWith('select') ? new Error('D1_ERROR: overloaded') : undefined) });
 */
export function faultyD1(database: D1Database, faults: Faults): D1Database {
  const { failOn, when = 'before', latency = 0 } = faults;
  return new InterceptedD1(database, async (call, run) => {
    await sleep(typeof latency === 'number' ? latency : latency(call));
    const error = firstError(call, failOn);
    if (error && when === 'before') throw error;
    const result = await run();
    if (error) throw error;
    return result;
  });
}

/** A `failOn` that fails the first `times` statements that contain `text`, and no more. */
export function failTimes(times: number, text: string, message: string): NonNullable<Faults['failOn']> {
  let left = times;
  return (sql) => (sql.includes(text) && left-- > 0 ? new Error(message) : undefined);
}

function firstError(call: D1Call, failOn: Faults['failOn']): Error | undefined {
  for (const { sql } of call.statements) {
    const error = failOn?.(sql, call);
    if (error) return error;
  }
  return undefined;
}

async function sleep(milliseconds: number): Promise<void> {
  if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds));
}
