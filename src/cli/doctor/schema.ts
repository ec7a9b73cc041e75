import type { Inspection } from '../../migrations/inspect-shards';
import { type DoctorFinding, error, warning } from './finding';

const MENDS: Readonly<Record<string, string>> = {
  ahead: 'Check out the newest migrations.',
  edited: 'git checkout the file, and write a new migration.',
  drift: 'npx sharded-drizzle check shows the differences; put them right by hand.',
};

/** Ledgers and drift. */
export function schemaFindings({ shards, obstacles }: Inspection): DoctorFinding[] {
  const all = [...obstacles, ...shards.flatMap((shard) => shard.obstacles)];
  return [
    ...all.map(({ kind, message, shard }) => error(message, MENDS[kind] ?? 'npx sharded-drizzle check', shard)),
    ...shards
      .filter(({ pending }) => pending.length > 0)
      .map(({ shard, pending }) =>
        warning(`${shard} lacks ${pending.join(', ')}.`, 'npx sharded-drizzle migrate', shard),
      ),
  ];
}
