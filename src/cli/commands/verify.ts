import type { CliCommand } from '../command';
import { isOn } from '../options';

export const verify: CliCommand = {
  name: 'verify',
  summary: 'Look at every row: is it where it belongs, once, and are the reference tables the same everywhere?',
  detail:
    'The exit code is 1 when something was found that is not mended. It reads every key: for a terminal or a cron job.',
  options: [
    ['--repair', 'mend what is surely safe: copies of rows that their owner has as well, and reference tables'],
  ],
  examples: [
    ['verify', 'find, and change nothing'],
    ['verify --repair', 'and mend what is surely safe'],
  ],
  changes: true,
  run: async ({ project, fleet: openFleet, options, out }) => {
    (await project()).needSharding('verify');
    const { db } = await openFleet();
    const report = await db.$cluster.verify({ repair: isOn(options, 'repair') && !isOn(options, 'dryRun') });
    out.line(report.text);
    return { result: report, failed: !report.ok };
  },
};
