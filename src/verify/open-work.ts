import type { Catalog } from '../catalog/catalog';
import { decodeParts, REDO_AFTER_MS } from '../execution/redo';
import type { Finding } from './finding';

type Open = Omit<Finding, 'repaired'>;

/** What the catalog knows to be begun, and not ended or decided, while nobody is at work on it. */
export async function openWork(catalog: Catalog): Promise<Open[]> {
  return [...(await openWrite(catalog)), ...(await openMoves(catalog)), ...(await conflicts(catalog))];
}

async function openWrite(catalog: Catalog): Promise<Open[]> {
  const write = await catalog.openWrite();
  if (!write || write.idleMs < REDO_AFTER_MS) return [];
  const shards = decodeParts(write.parts).map(({ shard }) => shard);
  return [
    {
      kind: 'unfinished',
      shard: shards.join(', '),
      message: `a write to tables that are whole on every shard stopped while it was ${write.state}.`,
      remedy: 'Run db.$cluster.resume().',
    },
  ];
}

async function openMoves(catalog: Catalog): Promise<Open[]> {
  const found: Open[] = [];
  for (const move of await catalog.moves(0)) {
    const job = await catalog.job(move.job);
    if (job && job.leasedUntil > Date.now()) continue;
    found.push({
      kind: 'unfinished',
      shard: move.from ?? move.home,
      message: `move ${move.id} to ${move.to} stopped at ${move.phase}${move.error ? `: ${move.error}` : ''}.`,
      remedy: 'Run db.$cluster.resume().',
    });
  }
  return found;
}

const conflicts = async (catalog: Catalog): Promise<Open[]> =>
  (await catalog.conflicts()).map(({ keyspace, key, shards }) => ({
    kind: 'conflict',
    shard: shards.join(', '),
    keyspace,
    key,
    message: `the key '${key}' has rows on each of them, since before there was the cluster.`,
    remedy: 'Say which are right: db.$cluster.resolveConflicts({ ... }).',
  }));
