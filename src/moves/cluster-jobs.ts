import type { Job, JobKind, JobOptions, JobStep, Move } from '../catalog/journal';
import { ConfigError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { redoStale } from '../execution/redo';
import { publish } from '../telemetry/channels';
import { reopenShard } from './drain';
import { type MoveIo, runOn } from './io';
import { DEFAULTS, type JobSettings } from './job-settings';
import { type JobStatus, statusOf } from './job-status';
import { Mover } from './mover';
import { Pace } from './pace';
import { runJob } from './runner';
import { readSpec } from './spec';

/** The jobs of a cluster: started, looked at, held and taken up again. */
export class ClusterJobs {
  constructor(readonly cluster: ReadyCluster) {}

  async io(): Promise<MoveIo> {
    const { executor, databases } = this.cluster;
    const { map } = (await executor.attempt(false)).routing;
    const pace = new Pace();
    return {
      cluster: map.cluster,
      catalog: executor.cluster.resolver.catalog,
      pace,
      run: runOn(databases, pace),
      onStep: (event) => publish('move', () => event),
    };
  }

  /** Journals a job, and runs it unless that is left to the coordinator. */
  async start(
    kind: JobKind,
    steps: readonly JobStep[],
    settings: JobSettings = {},
    options: JobOptions = DEFAULTS,
    totalRows = 0,
  ): Promise<JobStatus> {
    if (settings.background && this.cluster.controlShard !== undefined) {
      throw new ConfigError('A job can only run in the background of a coordinator, and the configuration has none.', {
        remedy: 'Leave `background` out, or pass `coordinator: env.SHARD_COORDINATOR`.',
      });
    }
    const io = await this.io();
    const request = crypto.randomUUID();
    const spec = JSON.stringify(this.cluster.moveSpec());
    const job = await io.catalog.startJob({ request, kind, spec, steps, options, totalRows });
    if (settings.background) return statusOf(job);
    return this.#drive(io, job.id, settings.onProgress);
  }

  async moves(): Promise<readonly Move[]> {
    return (await this.io()).catalog.moves(20);
  }

  async jobs(): Promise<JobStatus[]> {
    return (await (await this.io()).catalog.jobs(20)).map((job) => statusOf(job));
  }

  /** A move that has begun ends; the next one does not begin. */
  async pause(id: number): Promise<JobStatus> {
    return this.#changed(id, 'paused');
  }

  async cancel(id: number): Promise<JobStatus> {
    const io = await this.io();
    const status = await this.#changed(id, 'cancelled');
    const job = (await io.catalog.job(id)) as Job;
    for (const step of job.steps) {
      if (step.do === 'close' && job.state === 'cancelled') await reopenShard(io, step.shard);
    }
    return status;
  }

  /** Goes on with one job, or with all whose driver has stopped; ends the moves that they have left. */
  async resume(id?: number, onProgress?: JobSettings['onProgress']): Promise<JobStatus[]> {
    const io = await this.io();
    if (id !== undefined) {
      await io.catalog.advanceJob(id, { state: 'running' });
      return [await this.#drive(io, id, onProgress)];
    }
    await redoStale(io);
    const results: JobStatus[] = [];
    const now = Date.now();
    for (const job of await io.catalog.jobs(0)) {
      if (job.state === 'running' && job.leasedUntil <= now) results.push(await this.#drive(io, job.id, undefined));
    }
    for (const move of await io.catalog.moves(0)) {
      const job = await io.catalog.job(move.job);
      if (job && job.state !== 'running' && job.leasedUntil <= now)
        await new Mover(io, readSpec(job.spec), job.options.frozenMs).resume(move.id);
    }
    return results;
  }

  async #changed(id: number, state: 'paused' | 'cancelled'): Promise<JobStatus> {
    const job = await (await this.io()).catalog.advanceJob(id, { state });
    if (!job) throw new ConfigError(`There is no job ${id}.`, { remedy: 'db.$cluster.jobs() lists them.' });
    return statusOf(job);
  }

  async #drive(io: MoveIo, id: number, onProgress: JobSettings['onProgress']): Promise<JobStatus> {
    const { moveTimeoutMs } = this.cluster.executor.cluster;
    const job = await runJob(io, id, {
      driver: crypto.randomUUID(),
      patienceMs: moveTimeoutMs,
      ...(onProgress ? { onProgress: (done: Job) => onProgress(statusOf(done)) } : {}),
    });
    return statusOf(job);
  }
}
