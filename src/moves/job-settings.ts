import type { JobOptions } from '../catalog/journal';
import { ConfigError } from '../errors';
import type { PlaceKey } from '../placement/strategies';
import type { MovePlan } from './estimate';
import type { JobStatus } from './job-status';

/** How a job is run. */
export interface JobSettings {
  /** Rows in one move at most, which are frozen together; it begins with fewer. Default 1,000. */
  rowsPerMove?: number;
  /** At most. Default 50,000. Less is moved while a shard is slow. */
  rowsPerSecond?: number;
  /** A move that would keep writers waiting for longer, in milliseconds, is given up before it lands. Default 10,000. */
  frozenMs?: number;
  /** Only plan: nothing is changed. */
  dryRun?: boolean;
  /** Return when the job is journaled; the coordinator runs it. */
  background?: boolean;
  /** Told after each move. */
  onProgress?: (status: JobStatus) => void;
}

export interface RebalanceSettings<TShard extends string = string> extends JobSettings {
  /** The shards that take part. Default: all that are active. */
  shards?: readonly TShard[];
  /** The largest share of all slots that may move, from 0 to 1. Default 1. */
  maxMoved?: number;
  /** Where each key with a placement record should live: what is elsewhere is moved there, and nothing else. */
  strategy?: PlaceKey;
}

/** What was planned, and what came of it; without `job` it was a dry run, or there was nothing to do. */
export interface JobReport {
  readonly plan: MovePlan;
  readonly job?: JobStatus;
}

export const DEFAULTS: JobOptions = { rowsPerMove: 1000, rowsPerSecond: 50_000, frozenMs: 10_000 };

/** @throws ConfigError */
export function optionsOf({ rowsPerMove, rowsPerSecond, frozenMs }: JobSettings): JobOptions {
  const options = {
    rowsPerMove: rowsPerMove ?? DEFAULTS.rowsPerMove,
    rowsPerSecond: rowsPerSecond ?? DEFAULTS.rowsPerSecond,
    frozenMs: frozenMs ?? DEFAULTS.frozenMs,
  };
  for (const [name, value] of Object.entries(options)) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new ConfigError(`${name} is ${value}.`, { remedy: 'Write a whole number above 0.' });
    }
  }
  return options;
}
