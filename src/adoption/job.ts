import type { Catalog, ShardMap } from '../catalog/catalog';
import type { Job, JobOptions, JobProgress, JobStep } from '../catalog/journal';
import { pause } from '../execution/retry';
import type { MoveIo } from '../moves/io';
import type { MoveSpec } from '../moves/spec';
import { Scan, type ScanPlace } from './scan';

/** How long a driver scans before it writes down how far it is. */
const SLICE_MS = 500;

/**
 * Rows of a page: each of its keys is a lookup in every table of its home, and no other statement runs there meanwhile. Reading a
 * page is little work itself.
 */
export const SCAN_OPTIONS: JobOptions = { rowsPerMove: 4000, rowsPerSecond: 100_000, frozenMs: 10_000 };

export type AdoptStep = JobStep & { readonly do: 'adopt' };

/** What is to be scanned: one step for each keyspace and database. */
export const adoptSteps = ({ keyspaces }: ShardMap): AdoptStep[] =>
  Object.entries(keyspaces).flatMap(([keyspace, { adopting = [] }]) =>
    adopting.map(({ shard }): AdoptStep => ({ do: 'adopt', keyspace, shard })),
  );

/** Journals the job that scans what databases came with. Repeated, also by others, it gives the same job. */
export function startAdoption(catalog: Catalog, map: ShardMap, spec: MoveSpec, options: JobOptions): Promise<Job> {
  const ids = Object.values(map.keyspaces).flatMap(({ adopting = [] }) => adopting.map(({ id }) => id));
  return catalog.startJob({
    request: `adopt ${ids.sort((a, b) => a - b).join()}`,
    kind: 'adopt',
    spec: JSON.stringify(spec),
    steps: adoptSteps(map),
    options,
    totalRows: 0,
  });
}

/** Scans for a moment. */
export async function adoptStep(io: MoveIo, spec: MoveSpec, job: Job, step: AdoptStep): Promise<JobProgress> {
  const scan = new Scan(io, spec, step.keyspace, step.shard, job.options.rowsPerMove);
  const began = Date.now();
  let place = job.place === null ? { table: 0, after: null } : (JSON.parse(job.place) as ScanPlace);
  let rows = 0;
  while (Date.now() - began < SLICE_MS) {
    const page = await scan.page(place);
    rows += page.rows;
    if (!page.next) {
      await scan.end();
      return { at: job.at + 1, cursor: 0, rows, error: null };
    }
    place = page.next;
    await pause(Math.max(0, (rows * 1000) / job.options.rowsPerSecond - (Date.now() - began)));
  }
  return { place: JSON.stringify(place), rows };
}
