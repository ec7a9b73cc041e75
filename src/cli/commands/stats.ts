import type { CliCommand } from '../command';

export const stats: CliCommand = {
  name: 'stats',
  summary: 'Count rows and keys of each table on each shard.',
  detail: 'It reads every row once.',
  examples: [['stats --json', 'for a dashboard']],
  run: async ({ fleet: openFleet, out }) => {
    const { shards, tables, epoch } = await (await openFleet()).db.$cluster.stats();
    const names = Object.keys(tables);
    out.table(
      ['shard', 'MB', 'slots', ...names],
      [
        ...shards.map((shard) => [
          shard.name,
          (shard.sizeBytes / 1e6).toFixed(1),
          `${(shard.slotShare * 100).toFixed(1)} %`,
          ...names.map((name) => shard.tables[name]?.rows ?? 0),
        ]),
        ['all', '', '', ...names.map((name) => tables[name]?.rows ?? 0)],
      ],
    );
    return { result: { shards, tables, epoch } };
  },
};
