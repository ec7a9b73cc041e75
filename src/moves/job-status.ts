import type { Job, JobKind, JobState } from '../catalog/journal';

/** How far a job is. */
export interface JobStatus {
  readonly id: number;
  readonly kind: JobKind;
  /** `running` also while nobody is at work on it: then anybody may go on with it. */
  readonly state: JobState;
  readonly step: number;
  readonly steps: number;
  /** Moves that were made; 0 when everything was in its place. */
  readonly moves: number;
  readonly rows: number;
  /** Characters of JSON that the rows were carried as. */
  readonly bytes: number;
  /** What its plan has estimated; 0 when there was none. */
  readonly totalRows: number;
  readonly rowsPerSecond: number;
  /** Seconds that are left at this rate; undefined when that cannot be told. */
  readonly etaSeconds: number | undefined;
  readonly started: Date;
  readonly finished: Date | undefined;
  /** What it failed with, or what the last try to go on has met. */
  readonly error: string | undefined;
}

export function statusOf(job: Job, now = Date.now()): JobStatus {
  const seconds = Math.max(0.001, ((job.finished ?? now) - job.started) / 1000);
  const rate = job.rows / seconds;
  const left = Math.max(0, job.totalRows - job.rows);
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    step: Math.min(job.at + 1, job.steps.length),
    steps: job.steps.length,
    moves: job.moves,
    rows: job.rows,
    bytes: job.bytes,
    totalRows: job.totalRows,
    rowsPerSecond: Math.round(rate),
    etaSeconds: job.state === 'running' && job.totalRows > 0 && rate > 0 ? Math.ceil(left / rate) : undefined,
    started: new Date(job.started),
    finished: job.finished === null ? undefined : new Date(job.finished),
    error: job.error ?? undefined,
  };
}
