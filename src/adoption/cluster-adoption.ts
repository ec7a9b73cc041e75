import type { AdoptionConflict } from '../catalog/adoptions';
import type { Job } from '../catalog/journal';
import type { ReadyCluster } from '../execution/cluster';
import type { ClusterJobs } from '../moves/cluster-jobs';
import { runOn } from '../moves/io';
import { type JobStatus, statusOf } from '../moves/job-status';
import { Pace } from '../moves/pace';
import type { ConflictRules } from './decide';
import { adoptSteps, SCAN_OPTIONS, startAdoption } from './job';
import { type AdoptionPlan, planAdoption } from './plan';
import { type ResolveReport, resolveConflicts } from './resolve';

export interface AdoptSettings {
  /** Return at once; the coordinator scans. */
  background?: boolean;
  /** Told now and then. */
  onProgress?: (status: JobStatus) => void;
}

/** How far the databases that came with rows have become part of the cluster. */
export interface AdoptionReport {
  /** Databases that were not scanned to the end yet, by keyspace. Their rows answer, with a look into each of them. */
  readonly pending: readonly { readonly keyspace: string; readonly shard: string }[];
  /** Keys with rows in two databases: every statement with one of them is refused. At most 10,000 are listed. */
  readonly conflicts: readonly AdoptionConflict[];
}

export class ClusterAdoption {
  constructor(
    readonly cluster: ReadyCluster,
    readonly jobs: ClusterJobs,
  ) {}

  /** Undefined when there is nothing to scan. */
  async adopt({ background = false, onProgress }: AdoptSettings): Promise<JobStatus | undefined> {
    const { resolver } = this.cluster.executor.cluster;
    const { map } = await resolver.refresh();
    if (adoptSteps(map).length === 0) return undefined;
    const { catalog } = resolver;
    const spec = this.cluster.moveSpec();
    let job: Job = await startAdoption(catalog, map, spec, SCAN_OPTIONS);
    if (job.state !== 'running' && job.state !== 'paused') {
      // It was cancelled, or has failed.
      const request = { request: crypto.randomUUID(), kind: 'adopt' as const, spec: JSON.stringify(spec) };
      job = await catalog.startJob({ ...request, steps: adoptSteps(map), options: SCAN_OPTIONS, totalRows: 0 });
    }
    if (background) return statusOf(job);
    const [status] = await this.jobs.resume(job.id, onProgress);
    await resolver.refresh();
    return status;
  }

  plan(): Promise<AdoptionPlan> {
    const { executor, databases } = this.cluster;
    const { planner, resolver } = executor.cluster;
    const io = { run: runOn(databases, new Pace()), catalog: resolver.catalog };
    return planAdoption({ io, layout: planner.layout, spec: this.cluster.moveSpec(), shards: [...databases.keys()] });
  }

  async resolve(rules: ConflictRules): Promise<ResolveReport> {
    const report = await resolveConflicts({ io: await this.jobs.io(), spec: this.cluster.moveSpec(), rules });
    await this.cluster.executor.cluster.resolver.refresh();
    return report;
  }

  async report(): Promise<AdoptionReport> {
    const { resolver } = this.cluster.executor.cluster;
    const { map } = await resolver.refresh();
    return {
      pending: adoptSteps(map).map(({ keyspace, shard }) => ({ keyspace, shard })),
      conflicts: await resolver.catalog.conflicts(),
    };
  }
}
