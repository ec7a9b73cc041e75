import type { CatalogView } from '../../catalog/catalog';
import { inTurns } from '../../migrations/shards';
import type { Fleet } from '../fleet/fleet';
import { type DoctorFinding, error, warning } from './finding';

/** https://developers.cloudflare.com/d1/platform/limits/ */
const MAX_BYTES = 10e9;
const FULL = 0.8;
const VERY_FULL = 0.95;

interface Identity {
  readonly cluster: string;
  readonly name: string;
}

/** Does each database answer, is it the one that it is taken for, and how full is it? */
export async function shardFindings(
  { databases }: Fleet,
  view: CatalogView | undefined,
  concurrency: number,
): Promise<DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  await inTurns([...databases], concurrency, async ([shard, database]) => {
    try {
      findings.push(...(await findingsOf(shard, database, view)));
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause);
      findings.push(
        error(`${shard} does not answer: ${said}`, 'Is its database_id right, and the database there?', shard),
      );
    }
    return true;
  });
  for (const { name, state } of view?.map.shards ?? []) {
    if (state === 'retired' || databases.has(name)) continue;
    findings.push(
      error(
        `The cluster has the shard ${name}, which the configuration does not.`,
        'Add it to `shards`, or drain it first.',
        name,
      ),
    );
  }
  return findings.sort((a, b) => (a.shard ?? '').localeCompare(b.shard ?? ''));
}

async function findingsOf(
  shard: string,
  database: D1Database,
  view: CatalogView | undefined,
): Promise<DoctorFinding[]> {
  const told = await database.prepare("select 1 as one from sqlite_master where name = '_shard_identity'").run();
  const findings = sizeFindings(shard, told.meta.size_after);
  if (told.results.length === 0) {
    const known = view?.map.shards.some(({ name }) => name === shard);
    if (known) {
      findings.push(
        error(
          `The cluster has the shard ${shard}, whose database was never told so.`,
          'Is this another database than before?',
          shard,
        ),
      );
    }
    return findings;
  }
  const identity = await database.prepare('select cluster, name from _shard_identity').first<Identity>();
  if (!identity) return findings;
  if (identity.name !== shard) {
    findings.push(error(`The database bound as ${shard} is ${identity.name}.`, 'Swap the bindings back.', shard));
  } else if (!view || identity.cluster !== view.map.cluster) {
    findings.push(
      error(
        `The database of ${shard} belongs to the cluster ${identity.cluster}, which this catalog does not know.`,
        'Is the coordinator, or `control`, another one than before?',
        shard,
      ),
    );
  }
  return findings;
}

/** Pure. */
export function sizeFindings(shard: string, bytes: number | undefined): DoctorFinding[] {
  const part = (bytes ?? 0) / MAX_BYTES;
  if (part < FULL) return [];
  const message = `${shard} has ${((bytes ?? 0) / 1e9).toFixed(2)} GB of the 10 GB that a D1 can have.`;
  const mend = 'npx sharded-drizzle new-shard <name>, then npx sharded-drizzle rebalance';
  return [part >= VERY_FULL ? error(message, mend, shard) : warning(message, mend, shard)];
}
