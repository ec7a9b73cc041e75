import type { Job } from '../catalog/journal';
import { MoveInProgressError, MoveRefusedError } from '../errors';
import { jittered, pause } from '../execution/retry';
import type { MoveIo } from './io';

/** Nobody else takes a job up for so long after its driver was last heard of. Scatters may have to wait for so long. */
export const LEASE_SECONDS = 6;
const RENEW_MS = 2000;

/** The right to drive a job, which ends by itself when its driver stops. */
export class JobLease {
  #renewedAt = Number.NEGATIVE_INFINITY;
  #isHeld = false;

  constructor(
    readonly io: MoveIo,
    readonly job: number,
    readonly driver: string,
  ) {}

  /** Was it ours a moment ago? */
  get isFresh(): boolean {
    return this.#isHeld && Date.now() - this.#renewedAt < 2 * RENEW_MS;
  }

  /** The lease is renewed while batches run: a single step may take longer than it lasts. */
  renewing(): MoveIo {
    const { io } = this;
    return {
      ...io,
      run: async (shard, statements) => {
        const rows = await io.run(shard, statements);
        if (Date.now() - this.#renewedAt > RENEW_MS) await this.#renew();
        return rows;
      },
    };
  }

  /** Waits until it is ours, or the job has ended. */
  async take(patienceMs: number): Promise<Job> {
    const deadline = Date.now() + LEASE_SECONDS * 1000 + patienceMs;
    for (let round = 1; ; round++) {
      await this.#renew();
      const job = await this.io.catalog.job(this.job);
      if (!job) throw new MoveRefusedError(`There is no job ${this.job}.`);
      if (this.#isHeld || job.state !== 'running') return job;
      if (Date.now() > deadline) throw new MoveInProgressError(`Another process is at work on job ${this.job}.`);
      await pause(jittered(50, round, 1000));
    }
  }

  /** Whoever goes on need not wait. Where this fails, the lease ends by itself. */
  async giveBack(): Promise<void> {
    this.#isHeld = false;
    await this.io.catalog.leaseJob(this.job, this.driver, 0).catch(() => {});
  }

  async #renew(): Promise<void> {
    // Before the answer: a single renewal is under way at a time.
    this.#renewedAt = Date.now();
    this.#isHeld = await this.io.catalog.leaseJob(this.job, this.driver, LEASE_SECONDS);
  }
}
