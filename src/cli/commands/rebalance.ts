import type { JobSettings } from '../../moves/job-settings';
import type { CliCommand, Options } from '../command';
import { fraction, isOn, text, wholeNumber } from '../options';
import { runJob } from '../output/job-progress';
import { endOfJob } from './job-end';

/** Options of all commands that move many rows. */
export const PACE: NonNullable<CliCommand['options']> = [
  ['--rows-per-move <n>', 'rows that are frozen together, at most (1000)'],
  ['--rows-per-second <n>', 'at most (50000); less is moved while a shard is slow'],
];

export function paceOf(options: Options): JobSettings {
  const rowsPerMove = wholeNumber(options, 'rowsPerMove');
  const rowsPerSecond = wholeNumber(options, 'rowsPerSecond');
  return {
    ...(rowsPerMove === undefined ? {} : { rowsPerMove }),
    ...(rowsPerSecond === undefined ? {} : { rowsPerSecond }),
  };
}

export const rebalance: CliCommand = {
  name: 'rebalance',
  summary: 'Give every shard its share of the slots and keys.',
  detail: `With the least movement, by the shards' weights, while they are in use. It can be stopped at any time, and what was moved
stays where it is: Ctrl-C pauses it. With --remote and a coordinator it goes on without the command.`,
  options: [
    ['--shards <names>', 'the shards that take part, with commas (all that are active)'],
    ['--max-moved <share>', 'the largest share of all slots that may move, from 0 to 1'],
    ...PACE,
  ],
  examples: [
    ['rebalance --dry-run', 'what would move, and what D1 would charge for it'],
    ['rebalance --max-moved 0.1', 'a tenth of the slots at most'],
  ],
  changes: true,
  run: async ({ project, fleet: openFleet, heedStop, options, out }) => {
    (await project()).needSharding('rebalance');
    const fleet = await openFleet();
    const maxMoved = fraction(options, 'maxMoved');
    const shards = text(options, 'shards')?.split(',');
    const settings = {
      ...paceOf(options),
      ...(maxMoved === undefined ? {} : { maxMoved }),
      ...(shards === undefined ? {} : { shards }),
    };
    if (isOn(options, 'dryRun')) {
      const { plan } = await fleet.db.$cluster.rebalance({ ...settings, dryRun: true });
      out.line(plan.text);
      return { result: { plan } };
    }
    const { plan, job } = await runJob(fleet, out, heedStop(), (more) =>
      fleet.db.$cluster.rebalance({ ...settings, ...more }),
    );
    out.line(plan.text);
    return endOfJob(out, job, { plan });
  },
};
