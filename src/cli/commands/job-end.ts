import type { JobStatus } from '../../moves/job-status';
import type { Outcome } from '../command';
import { describe } from '../output/job-progress';
import type { Output } from '../output/output';

/** What became of a job, for people and as the command's outcome. */
export function endOfJob(out: Output, job: JobStatus | undefined, result: object): Outcome {
  if (!job) {
    out.line('Nothing to do.');
    return { result };
  }
  const failed = job.state !== 'done';
  out.line(`Job ${job.id} is ${job.state}: ${describe({ ...job, etaSeconds: undefined })}.`);
  if (job.error !== undefined) out.line(job.error);
  if (job.state === 'paused') out.line(`It goes on with: npx sharded-drizzle moves resume ${job.id}`);
  return { result: { ...result, job }, failed };
}
