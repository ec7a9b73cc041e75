import type { Job, JobProgress } from '../catalog/journal';
import { MoveInProgressError, ShardedDrizzleError } from '../errors';
import type { MoveIo } from './io';
import { JobLease } from './job-lease';
import { JobMoves } from './job-moves';
import { countsOf, JobSteps } from './job-steps';
import { readSpec } from './spec';

export { collectOn } from './collect';

export interface RunOptions {
  /** Told after each move. */
  readonly onProgress?: (job: Job) => void;
  /** Names this driver. */
  readonly driver: string;
  /** When to stop between two moves, in milliseconds of Unix time; the job goes on later. */
  readonly until?: number;
  /** How long to wait for another move of the same slots, in milliseconds. */
  readonly patienceMs: number;
}

/**
 * Runs a job from where it is, move by move. Several may run the same job one after the other: whoever stops leaves it to be
 * taken up again.
 *
 * @returns The job as it is now: done, paused, cancelled, failed, or running when `until` has passed.
 * @throws What a move was refused with; the job has failed then. Other errors leave it running.
 */
export async function runJob(io: MoveIo, id: number, options: RunOptions): Promise<Job> {
  const lease = new JobLease(io, id, options.driver);
  const run = new JobRun(lease, options);
  try {
    for (;;) {
      const job = await run.next();
      options.onProgress?.(job);
      if (job.state !== 'running' || (options.until !== undefined && Date.now() >= options.until)) return job;
    }
  } finally {
    await lease.giveBack();
  }
}

class JobRun {
  readonly #io: MoveIo;
  /** The job as it was written last. */
  #job: Job | undefined;
  #moves: JobMoves | undefined;
  #steps: JobSteps | undefined;

  constructor(
    readonly lease: JobLease,
    readonly options: RunOptions,
  ) {
    this.#io = lease.renewing();
  }

  /** Takes the job one move further. */
  async next(): Promise<Job> {
    const { catalog } = this.#io;
    // While the lease is ours nobody else writes the job's progress, and what others write besides came with the last answer.
    let job = this.lease.isFresh ? this.#job : undefined;
    const isTaken = job === undefined;
    job ??= await this.lease.take(this.options.patienceMs);
    if (job.state !== 'running') return job;
    try {
      if (isTaken) await this.#endOpenMoves(job);
      const step = job.steps[job.at];
      return await this.#advanced(
        job,
        step ? await this.#stepsOf(job).take(job, step) : { state: 'done', error: null },
      );
    } catch (error) {
      this.#job = undefined;
      const text = error instanceof Error ? error.message : String(error);
      // What has landed goes forward only: whoever resumes the job ends it once the cause is gone.
      const isOpen = (await catalog.moves(0).catch(() => [])).some((move) => move.job === job.id);
      const isFinal = error instanceof ShardedDrizzleError && !(error instanceof MoveInProgressError) && !isOpen;
      await catalog.advanceJob(job.id, { error: text, ...(isFinal ? { state: 'failed' } : {}) });
      throw error;
    }
  }

  /** What whoever drove it before has left. */
  async #endOpenMoves(job: Job): Promise<void> {
    for (const open of await this.#io.catalog.moves(0)) {
      if (open.job === job.id) {
        await this.#advanced(job, countsOf(await this.#movesOf(job).mover.resume(open.id)));
      }
    }
  }

  async #advanced({ id }: Job, progress: JobProgress): Promise<Job> {
    const job = (await this.#io.catalog.advanceJob(id, progress)) as Job;
    this.#job = job;
    return job;
  }

  #movesOf(job: Job): JobMoves {
    this.#moves ??= new JobMoves(this.#io, job, this.options.driver, this.options.patienceMs);
    return this.#moves;
  }

  #stepsOf(job: Job): JobSteps {
    this.#steps ??= new JobSteps(this.#io, readSpec(job.spec), this.#movesOf(job));
    return this.#steps;
  }
}
