import type { CatalogView } from '../../catalog/catalog';
import type { Fleet } from '../fleet/fleet';
import { type DoctorFinding, error, warning } from './finding';

/** A move takes seconds, and its lease as long. */
const STALE_MS = 5 * 60_000;

/** What was begun and not ended. */
export async function workFindings({ catalog }: Fleet, view: CatalogView | undefined): Promise<DoctorFinding[]> {
  if (!view) return [];
  const findings: DoctorFinding[] = [];
  const now = Date.now();
  for (const { id, to, started, error: said } of await catalog.moves(0)) {
    if (now - started < STALE_MS) continue;
    const why = said === null ? '' : `: ${said}`;
    findings.push(
      error(
        `Move ${id} to ${to} was begun at ${new Date(started).toISOString()}${why}.`,
        'npx sharded-drizzle moves resume',
      ),
    );
  }
  for (const { id, kind, state, leasedUntil } of await catalog.jobs(0)) {
    if (state === 'paused') {
      findings.push({
        level: 'note',
        message: `Job ${id} (${kind}) is paused.`,
        mend: `npx sharded-drizzle moves resume ${id}`,
      });
    } else if (state === 'running' && leasedUntil < now) {
      findings.push(warning(`Nobody is at work on job ${id} (${kind}).`, `npx sharded-drizzle moves resume ${id}`));
    }
  }
  if (await catalog.openWrite()) {
    findings.push(warning('A write to replicated tables has not ended.', 'npx sharded-drizzle verify --repair'));
  }
  for (const [keyspace, { adopting = [] }] of Object.entries(view.map.keyspaces)) {
    for (const { shard } of adopting) {
      findings.push(
        warning(
          `${shard} came with rows of ${keyspace} that were not all found yet.`,
          'npx sharded-drizzle adopt',
          shard,
        ),
      );
    }
  }
  for (const { keyspace, key, shards } of (await catalog.conflicts()).slice(0, 20)) {
    findings.push(
      error(`The key '${key}' of ${keyspace} is in ${shards.join(' and ')}.`, 'npx sharded-drizzle adopt --resolve'),
    );
  }
  for (const { shard } of view.pending) {
    findings.push(
      warning(
        `${shard} has not been told its part yet.`,
        'The next query, or npx sharded-drizzle migrate, tells it.',
        shard,
      ),
    );
  }
  return findings;
}
