import { pause } from '../../execution/retry';
import type { JobSettings } from '../../moves/job-settings';
import { type JobStatus, statusOf } from '../../moves/job-status';
import type { Fleet } from '../fleet/fleet';
import type { Output } from './output';
import { bar } from './shard-list';

/** Goes to the start of the line, and empties it. */
const CLEAR = '\r\u001b[K';

/** Shows how far a job is: a bar that is written over where a person looks, and elsewhere a line for each tenth. */
export class JobProgress {
  #tenth = 0;

  constructor(readonly out: Output) {}

  readonly show = (status: JobStatus): void => {
    const part = status.totalRows > 0 ? Math.min(1, status.rows / status.totalRows) : 0;
    if (this.out.isTerminal) {
      // A line that wraps could not be written over.
      const width = (process.stdout.columns || 80) - 1;
      process.stdout.write(`${CLEAR}${`${bar(part)}  ${describe(status)}`.slice(0, width)}`);
    } else if (Math.floor(part * 10) > this.#tenth) {
      this.#tenth = Math.floor(part * 10);
      this.out.line(`${String(this.#tenth * 10).padStart(3)}%  ${describe(status)}`);
    }
  };

  end(): void {
    if (this.out.isTerminal) process.stdout.write(CLEAR);
  }

  note(text: string): void {
    this.end();
    this.out.note(text);
  }
}

export function describe({ rows, moves, rowsPerSecond, etaSeconds }: JobStatus): string {
  const left = etaSeconds === undefined ? '' : `, about ${etaSeconds} s left`;
  return `${rows.toLocaleString('en')} rows in ${moves} moves, ${rowsPerSecond.toLocaleString('en')} a second${left}`;
}

const POLL_MS = 1000;

/**
 * Runs a job. Cloudflare's databases are far away from here, so there the coordinator runs it, beside them, and it goes on when
 * this process is stopped; without a coordinator this process carries every row, and pauses the job when it is stopped.
 */
export async function runJob<T extends { readonly job?: JobStatus }>(
  fleet: Fleet,
  out: Output,
  stop: AbortSignal,
  start: (settings: JobSettings) => Promise<T>,
): Promise<T> {
  const progress = new JobProgress(out);
  const isFar = fleet.where === 'remote' && fleet.cluster.controlShard === undefined;
  if (!isFar) stop.addEventListener('abort', () => progress.note('Stopping after the move that is under way.'));
  const onProgress = (status: JobStatus) => {
    progress.show(status);
    // It may have ended by itself meanwhile.
    if (stop.aborted && status.state === 'running') void fleet.db.$cluster.pause(status.id).catch(() => {});
  };
  try {
    const report = await start({ background: isFar, onProgress });
    return isFar && report.job ? { ...report, job: await follow(fleet, report.job, progress, stop) } : report;
  } finally {
    progress.end();
  }
}

async function follow(
  { catalog }: Fleet,
  job: JobStatus,
  progress: JobProgress,
  stop: AbortSignal,
): Promise<JobStatus> {
  let said: string | undefined;
  for (let status = job; ; await pause(POLL_MS)) {
    const found = await catalog.job(job.id);
    if (found) status = statusOf(found);
    if (status.state !== 'running') return status;
    if (stop.aborted) {
      progress.note(`Job ${job.id} goes on without this command: npx sharded-drizzle moves pause ${job.id} stops it.`);
      return status;
    }
    if (status.error !== undefined && status.error !== said) {
      said = status.error;
      progress.note(`Job ${job.id} goes on trying: ${said} To stop it: npx sharded-drizzle moves cancel ${job.id}`);
    }
    progress.show(status);
  }
}
