import type { Job, JobKind, JobOptions, JobStep } from '../catalog/journal';
import { ConfigError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { canonicalKey } from '../placement/key';
import { SLOTS } from '../placement/slots';
import { publish } from '../telemetry/channels';
import { type MoveIo, runOn } from './io';
import { runJob } from './runner';

/** What a job has done. */
export interface JobResult {
  readonly job: number;
  /** Moves that it took; 0 when everything was in its place already. */
  readonly moves: number;
  readonly rows: number;
  /** Characters of JSON that the rows were carried as. */
  readonly bytes: number;
}

const DEFAULTS: JobOptions = { rowsPerMove: 5000, rowsPerSecond: 50_000 };

/** Operations that change where rows live. */
export class ClusterMoves {
  constructor(readonly cluster: ReadyCluster) {}

  async io(): Promise<MoveIo> {
    const { executor, databases } = this.cluster;
    const { map } = (await executor.attempt(false)).routing;
    return {
      cluster: map.cluster,
      catalog: executor.cluster.resolver.catalog,
      run: runOn(databases),
      onStep: (event) => publish('move', () => event),
    };
  }

  async reassign(key: string | number | bigint, to: string, keyspace: string): Promise<JobResult> {
    const canonical = canonicalKey(key, typeof key === 'string' ? 'text' : 'integer');
    if (typeof canonical !== 'string') {
      throw new ConfigError(`${String(key)} cannot be a shard key.`, { remedy: 'Give a text or a whole number.' });
    }
    const result = await this.#run('reassign', [{ do: 'keys', keyspace, keys: [canonical], to }], DEFAULTS, 0);
    const { resolver } = this.cluster.executor.cluster;
    resolver.state.hints.set(keyspace, canonical, to);
    await resolver.store?.write(keyspace, canonical, to);
    return result;
  }

  async moveSlots(range: { lo: number; hi: number }, to: string, keyspace: string): Promise<JobResult> {
    const { lo, hi } = range;
    if (!(Number.isInteger(lo) && Number.isInteger(hi) && 0 <= lo && lo <= hi && hi < SLOTS)) {
      throw new ConfigError(`${lo} to ${hi} are no slots.`, { remedy: `Give whole numbers from 0 to ${SLOTS - 1}.` });
    }
    const { map } = await this.cluster.executor.cluster.resolver.refresh();
    const ranges = map.keyspaces[keyspace]?.ranges ?? [];
    const steps = ranges.flatMap((one): JobStep[] => {
      const part = { lo: Math.max(lo, one.lo), hi: Math.min(hi, one.hi) };
      return part.lo > part.hi || one.shard === to ? [] : [{ do: 'slots', keyspace, ...part, from: one.shard, to }];
    });
    return this.#run('slots', steps, DEFAULTS, 0);
  }

  /** Goes on with jobs whose driver has stopped. */
  async resume(): Promise<JobResult[]> {
    const io = await this.io();
    const { moveTimeoutMs } = this.cluster.executor.cluster;
    const results: JobResult[] = [];
    for (const job of await io.catalog.jobs(0)) {
      if (job.state !== 'running' || job.leasedUntil > Date.now()) continue;
      results.push(resultOf(await runJob(io, job.id, { driver: crypto.randomUUID(), patienceMs: moveTimeoutMs })));
    }
    return results;
  }

  async #run(kind: JobKind, steps: readonly JobStep[], options: JobOptions, totalRows: number): Promise<JobResult> {
    const { executor } = this.cluster;
    const io = await this.io();
    const request = crypto.randomUUID();
    const spec = JSON.stringify(this.cluster.moveSpec());
    const job = await io.catalog.startJob({ request, kind, spec, steps, options, totalRows });
    const done = await runJob(io, job.id, { driver: request, patienceMs: executor.cluster.moveTimeoutMs });
    if (kind !== 'reassign') await executor.cluster.resolver.refresh();
    return resultOf(done);
  }
}

const resultOf = ({ id, moves, rows, bytes }: Job): JobResult => ({ job: id, moves, rows, bytes });
