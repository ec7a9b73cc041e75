import { ownerOf } from '../../sharded-drizzle';
import type { CliCommand } from '../command';
import { UsageError } from '../errors';
import { isOn, text } from '../options';
import { runJob } from '../output/job-progress';
import { endOfJob } from './job-end';

export const reassign: CliCommand = {
  name: 'reassign',
  summary: 'Move all rows of one key to another shard, while they are in use.',
  arguments: [
    ['<key>', 'the value of the shard key'],
    ['<shard>', 'where its rows shall live'],
  ],
  options: [['--keyspace <name>', 'the keyspace of the key (default)']],
  examples: [
    ['reassign user-123 db-west', 'all rows of user-123, in all tables of the keyspace'],
    ['reassign user-123 db-west --dry-run', 'where they are now'],
  ],
  changes: true,
  run: async ({ project, fleet: openFleet, heedStop, options, out }, [key = '', to = '']) => {
    (await project()).needSharding('reassign');
    const fleet = await openFleet();
    if (!fleet.databases.has(to)) {
      throw new UsageError(`There is no shard ${to}.`, {
        remedy: `Write one of: ${[...fleet.databases.keys()].join(', ')}.`,
      });
    }
    const keyspace = text(options, 'keyspace') ?? 'default';
    if (isOn(options, 'dryRun')) {
      const from = await ownerOf(fleet.cluster, keyspace, key);
      out.line(from === to ? `${key} lives on ${to} already.` : `${key} lives on ${from} and would move to ${to}.`);
      return { result: { key, keyspace, from, to } };
    }
    const { job } = await runJob(fleet, out, heedStop(), async () => ({
      job: await fleet.db.$cluster.reassign(key, to, keyspace),
    }));
    return endOfJob(out, job, { key, keyspace, to });
  },
};
