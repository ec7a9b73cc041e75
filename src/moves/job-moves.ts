import type { Job, Move, MoveRequest } from '../catalog/journal';
import { MoveInProgressError } from '../errors';
import { jittered, pause } from '../execution/retry';
import type { MoveIo } from './io';
import { LEASE_SECONDS } from './job-lease';
import { type MoveOutcome, Mover } from './mover';
import { refusalOf } from './refusals';
import { readSpec } from './spec';
import { Throttle } from './throttle';

const MAX_TRIES = 3;

/** The moves of a job, one after the other and not too fast. */
export class JobMoves {
  readonly mover: Mover;
  readonly #throttle: Throttle;

  constructor(
    readonly io: MoveIo,
    readonly job: Pick<Job, 'id' | 'spec' | 'options'>,
    readonly driver: string,
    /** How long to wait for another move of the same slots, in milliseconds. */
    readonly patienceMs: number,
  ) {
    this.mover = new Mover(io, readSpec(job.spec), job.options.frozenMs);
    this.#throttle = new Throttle(io.pace);
  }

  /** How many rows the next move may have. */
  get maxRows(): number {
    return this.#throttle.rowsOf(this.job.options);
  }

  /** JOURNAL, then all the rest. Undefined where the rows are there already. */
  async move(request: Omit<MoveRequest, 'request' | 'job'>, keys: readonly string[]): Promise<MoveOutcome | undefined> {
    await this.#throttle.turn(this.job.options);
    const began = Date.now();
    for (let tries = 1; ; tries++) {
      const journaled = await this.#journal({ ...request, request: crypto.randomUUID(), job: this.job.id });
      const outcome = journaled && (await this.mover.begin(journaled, keys));
      if (outcome?.state === 'done') this.#throttle.moved(began, outcome.rows);
      if (outcome?.state !== 'aborted') return outcome;
      // Another process took this one for dead, and gave its move up.
      if (tries === MAX_TRIES) {
        throw new MoveInProgressError(`Another process keeps giving up the moves of job ${this.job.id}.`);
      }
    }
  }

  async #journal(request: MoveRequest): Promise<Move | undefined> {
    const deadline = Date.now() + this.patienceMs;
    for (let round = 1; ; round++) {
      const answer = await this.io.catalog.journal(request);
      if ('move' in answer) return answer.move;
      if (answer.refused === 'same' || answer.refused === 'owner') return undefined;
      if (answer.refused === 'locked' && (await this.#takeOver(answer.by))) continue;
      const isPassing = answer.refused === 'locked' || answer.refused === 'held';
      if (!isPassing || Date.now() > deadline) throw refusalOf(request, answer);
      await pause(jittered(20, round, 500));
    }
  }

  /** Ends a move that is in the way, if whoever began it has stopped. */
  async #takeOver({ id, job: jobId }: Move): Promise<boolean> {
    const { catalog } = this.io;
    const job = jobId === this.job.id ? undefined : await catalog.job(jobId);
    if (!job || !(await catalog.leaseJob(job.id, this.driver, LEASE_SECONDS))) return false;
    try {
      await new Mover(this.io, readSpec(job.spec), job.options.frozenMs).resume(id);
      return true;
    } catch {
      // It stays as it is, and whoever owns it is told why.
      return false;
    }
  }
}
