import type { JobStatus } from '../../moves/job-status';
import type { CliCommand, Context, Outcome } from '../command';
import { UsageError } from '../errors';
import { isOn } from '../options';
import { describe } from '../output/job-progress';

const ACTIONS = ['list', 'pause', 'resume', 'cancel'];

export const moves: CliCommand = {
  name: 'moves',
  summary: 'List moves of rows and their jobs; pause, resume or cancel one.',
  arguments: [
    ['[action]', 'list (default), pause, resume or cancel'],
    ['[job]', 'the number of the job; resume without one takes up all that nobody is at work on'],
  ],
  examples: [
    ['moves', 'what moves now, and what has moved last'],
    ['moves pause 7', 'job 7 stops after the move that it is in'],
    ['moves resume', 'goes on with what a crash has left'],
  ],
  changes: true,
  run: async (context, [action = 'list', job]) => {
    if (!ACTIONS.includes(action)) {
      throw new UsageError(`moves has no action ${action}.`, { remedy: `Write one of: ${ACTIONS.join(', ')}.` });
    }
    return action === 'list' || isOn(context.options, 'dryRun') ? list(context) : act(context, action, job);
  },
};

async function list({ fleet: openFleet, out }: Context): Promise<Outcome> {
  const { $cluster } = (await openFleet()).db;
  const [jobs, recent] = await Promise.all([$cluster.jobs(), $cluster.moves()]);
  showJobs(out, jobs);
  const open = recent.filter(({ state }) => state === 'open');
  if (open.length > 0) {
    out.line();
    out.table(
      ['move', 'job', 'what', 'from', 'to', 'phase', 'rows', 'said'],
      open.map((one) => [
        String(one.id),
        String(one.job),
        whatOf(one),
        one.from ?? '',
        one.to,
        one.phase,
        one.rows,
        one.error ?? '',
      ]),
    );
  }
  return { result: { jobs, moves: recent } };
}

async function act(
  { project, fleet: openFleet, heedStop, out }: Context,
  action: string,
  named?: string,
): Promise<Outcome> {
  (await project()).needSharding('moves');
  const job = named === undefined ? undefined : Number(named);
  if (job !== undefined && !Number.isSafeInteger(job)) throw new UsageError(`${named} is no number of a job.`);
  if (job === undefined && action !== 'resume') {
    throw new UsageError(`Which job shall be ${action === 'pause' ? 'paused' : 'cancelled'}?`, {
      remedy: `npx sharded-drizzle moves lists them; then: moves ${action} <job>`,
    });
  }
  const { $cluster } = (await openFleet()).db;
  if (action === 'resume' && job !== undefined) {
    // A process that ends in the midst would keep its lease of the job.
    heedStop().addEventListener('abort', () => {
      out.note('Stopping after the move that is under way.');
      $cluster.pause(job).catch(() => {});
    });
  }
  const jobs =
    action === 'resume'
      ? await $cluster.resume(job)
      : [await (action === 'pause' ? $cluster.pause(job as number) : $cluster.cancel(job as number))];
  showJobs(out, jobs);
  return {
    result: { jobs },
    failed: jobs.some(({ state }) => state === 'failed' || (state === 'paused' && action === 'resume')),
  };
}

function showJobs(out: Context['out'], jobs: readonly JobStatus[]): void {
  if (jobs.length === 0) {
    out.line('No jobs.');
    return;
  }
  out.table(
    ['job', 'kind', 'state', 'begun', 'done', 'said'],
    jobs.map((job) => [String(job.id), job.kind, job.state, job.started.toISOString(), describe(job), job.error ?? '']),
  );
}

const whatOf = ({
  kind,
  key,
  keyspace,
  lo,
  hi,
}: {
  kind: string;
  key: string | null;
  keyspace: string;
  lo: number;
  hi: number;
}) => `${keyspace}: ${kind === 'slots' ? `slots ${lo}-${hi}` : key === null ? 'keys' : `key ${key}`}`;
