import type { CliCommand } from '../command';
import { isOn } from '../options';
import { runJob } from '../output/job-progress';
import { endOfJob } from './job-end';
import { PACE, paceOf } from './rebalance';

export const drain: CliCommand = {
  name: 'drain',
  summary: 'Move everything off a shard, which then leaves the cluster.',
  detail: 'When it is done, take the shard out of the configuration, deploy, and delete its database.',
  arguments: [['<shard>', 'the shard to empty']],
  options: PACE,
  examples: [
    ['drain db-old --dry-run', 'what would move, and where to'],
    ['drain db-old', 'while it is in use'],
  ],
  changes: true,
  run: async ({ project, fleet: openFleet, heedStop, options, out }, [shard = '']) => {
    (await project()).needSharding('drain');
    const fleet = await openFleet();
    const settings = paceOf(options);
    if (isOn(options, 'dryRun')) {
      const { plan } = await fleet.db.$cluster.drain(shard, { ...settings, dryRun: true });
      out.line(plan.text);
      return { result: { plan } };
    }
    const { plan, job } = await runJob(fleet, out, heedStop(), (more) =>
      fleet.db.$cluster.drain(shard, { ...settings, ...more }),
    );
    out.line(plan.text);
    const outcome = endOfJob(out, job, { plan });
    if (job?.state === 'done') out.line(`${shard} is empty: take it out of sharded.config.ts and deploy.`);
    return outcome;
  },
};
