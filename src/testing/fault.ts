import { ConfigError } from '../errors';
import type { D1Call } from './intercepted-d1';
import { seeded } from './seeded';

/** What D1 says when it fails, in its own words: https://developers.cloudflare.com/d1/observability/debug-d1/ */
export const D1_ERRORS = {
  /** The connection broke. A read is repeated; whether a write was applied, nobody knows. */
  lost: 'D1_ERROR: Network connection lost.',
  /** The statement has not reached the database: reads and writes are repeated. */
  unreachable: 'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.',
  /** Too much at once: nothing is repeated, as that would make it worse. */
  overloaded: 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.',
  /** A statement took longer than D1 allows: nothing is repeated. */
  timeout: 'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
} as const;

/** Which statements of a shard fail, how, and how often. */
export interface Fault {
  /** A text in the statement, a pattern, or a function. Default: every statement, the router's own as well. */
  readonly on?: string | RegExp | ((sql: string, call: D1Call) => boolean);
  /**
   * `before`: the database never sees the call. `after`: it does the work and its answer is lost, as when a connection
   * breaks after the commit. Default `before`.
   */
  readonly when?: 'before' | 'after';
  /** After so many failures the statement works again. Default: until it is healed. */
  readonly times?: number;
  /** So many matching calls pass first. Default 0. A write to several shards is rehearsed on each: that is its first. */
  readonly skip?: number;
  /** The share of matching calls that fail, from 0 to 1. Default 1. The same `seed` fails the same ones. */
  readonly chance?: number;
  /** Default 1. */
  readonly seed?: number;
  /** Default `lost`. */
  readonly error?: keyof typeof D1_ERRORS | Error;
}

/** The error that a statement shall fail with. One failing statement fails its whole batch. */
export type Failing = (sql: string, call: D1Call) => Error | undefined;

/**
 * A fault as a function that says of each statement whether it fails.
 *
 * @throws ConfigError for a number that makes no sense.
 */
export function failingOn(fault: Fault): Failing {
  const { times = Number.POSITIVE_INFINITY, skip = 0, chance = 1, seed = 1, error = 'lost' } = fault;
  if (!(times >= 0 && skip >= 0)) throw new ConfigError('`times` and `skip` of a fault are numbers from 0 on.');
  if (!(chance >= 0 && chance <= 1)) throw new ConfigError(`The chance of a fault is ${chance}, not from 0 to 1.`);
  const isMeant = matcherOf(fault.on);
  const random = seeded(seed);
  let toPass = skip;
  let left = times;
  // A batch is one call, however many of its statements are meant.
  const passed = new WeakSet<D1Call>();
  return (sql, call) => {
    if (left <= 0 || passed.has(call) || !isMeant(sql, call)) return undefined;
    if (toPass > 0 || (chance < 1 && random() >= chance)) {
      if (toPass > 0) toPass--;
      passed.add(call);
      return undefined;
    }
    left--;
    return error instanceof Error ? error : new Error(D1_ERRORS[error]);
  };
}

function matcherOf(on: Fault['on']): (sql: string, call: D1Call) => boolean {
  if (on === undefined) return () => true;
  if (typeof on === 'function') return on;
  if (typeof on === 'string') return (sql) => sql.includes(on);
  // Not `test`: a pattern with the flag g would remember where it was.
  return (sql) => sql.search(on) >= 0;
}
