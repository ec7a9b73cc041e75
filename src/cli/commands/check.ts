import type { CliCommand } from '../command';
import { linesOf, namesOf } from '../output/names';
import { inspect, NO_DRIFT } from './migrations-context';

export const check: CliCommand = {
  name: 'check',
  summary: 'Has every shard the newest migration, and nothing else?',
  detail: `The exit code is 1 when a shard lacks a migration, is ahead, was edited, or has drifted from what its migrations give. Changes
nothing: for a pipeline, before a deployment.`,
  options: [NO_DRIFT, ['--allow-pending', 'migrations that are still to be applied are fine']],
  examples: [
    ['check --remote --env production', 'in a pipeline, after migrate and before the Worker is deployed'],
    ['check --remote --allow-pending', 'in a pull request: could they be applied?'],
  ],
  run: async (context) => {
    const { out, options } = context;
    const { shards, obstacles } = await inspect(context);
    const found = [...obstacles, ...shards.flatMap((shard) => shard.obstacles)];
    const behind = shards.filter(({ pending }) => pending.length > 0);
    const all = '--json lists all.';
    for (const line of linesOf(
      found.map(({ message }) => `- ${message}`),
      all,
    ))
      out.line(line);
    // Most often all lack the same.
    const groups = Map.groupBy(behind, ({ pending }) => pending.join(', '));
    const lacks = [...groups].map(([pending, group]) => {
      const names = group.map(({ shard }) => shard);
      return `- ${namesOf(names)} ${names.length > 1 ? 'lack' : 'lacks'} ${pending}.`;
    });
    for (const line of linesOf(lacks, all)) out.line(line);
    const failed = found.length > 0 || (behind.length > 0 && options.allowPending !== true);
    if (!failed) {
      out.line(
        `${shards.length} shards: ${behind.length === 0 ? 'all have the newest migration' : 'nothing is in the way'}.`,
      );
    } else if (found.length === 0) {
      out.line('npx sharded-drizzle migrate brings them up to date.');
    }
    return { result: { shards, obstacles }, failed };
  },
};
