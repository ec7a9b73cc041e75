import type { Catalog } from '../catalog/catalog';
import { REDO_AFTER_MS, redoStale } from '../execution/redo';
import { publish } from '../telemetry/channels';
import { type MoveIo, runOn } from './io';
import { Mover } from './mover';
import { Pace } from './pace';
import { runJob } from './runner';
import { readSpec } from './spec';

/** An alarm may run for 15 minutes: https://developers.cloudflare.com/durable-objects/api/alarms/. Short ones leave room for calls. */
const SLICE_MS = 20_000;
/** After something went wrong, or while another one is at work. */
const AGAIN_MS = 2000;

/**
 * Takes up running jobs that nobody is at work on, moves that a job which has ended left open, and a write to reference tables
 * whose writer has died.
 *
 * @param env The bindings of the Worker: each database tells which shard it is.
 * @returns When to look again, in milliseconds of Unix time; undefined when there is nothing left to do.
 */
export async function driveJobs(catalog: Catalog, env: unknown): Promise<number | undefined> {
  const jobs = await catalog.jobs(0);
  const running = jobs.filter(({ state }) => state === 'running');
  const open = await catalog.moves(0);
  const write = await catalog.openWrite();
  if (running.length === 0 && open.length === 0 && !write) return undefined;
  const view = await catalog.map();
  if (!view) return undefined;
  const { cluster } = view.map;
  const pace = new Pace();
  const io: MoveIo = {
    cluster,
    catalog,
    pace,
    run: runOn(await findShards(env, cluster), pace),
    onStep: (event) => publish('move', () => event),
  };
  if (write) await redoStale(io).catch(() => {});
  const driver = crypto.randomUUID();
  const until = Date.now() + SLICE_MS;
  for (const job of running) {
    if (job.leasedUntil > Date.now() || Date.now() >= until) continue;
    // What it failed with is journaled with it.
    await runJob(io, job.id, { driver, until, patienceMs: AGAIN_MS }).catch(() => {});
  }
  for (const move of open) {
    const job = await catalog.job(move.job);
    if (!job || job.state === 'running' || job.leasedUntil > Date.now()) continue;
    await new Mover(io, readSpec(job.spec), job.options.frozenMs).resume(move.id).catch(() => {});
  }
  const left = (await catalog.jobs(0)).filter(({ state }) => state === 'running');
  if (left.length > 0 || (await catalog.moves(0)).length > 0) {
    return Date.now() + (left.some(({ error }) => error === null) ? 0 : AGAIN_MS) + 100;
  }
  return (await catalog.openWrite()) ? Date.now() + REDO_AFTER_MS : undefined;
}

/** The databases of a cluster among the bindings of a Worker, by what they themselves say. */
async function findShards(env: unknown, cluster: string): Promise<Map<string, D1Database>> {
  const databases = Object.values(env as Record<string, unknown>).filter(isDatabase);
  const found = await Promise.all(
    databases.map(async (database) => {
      try {
        const row = await database
          .prepare('select name, cluster from _shard_identity')
          .first<{ name: string; cluster: string }>();
        return row?.cluster === cluster ? { name: row.name, database } : undefined;
      } catch {
        // No shard of any cluster, or not to be reached: a move that needs it says so.
        return undefined;
      }
    }),
  );
  return new Map(found.flatMap((one) => (one ? [[one.name, one.database]] : [])));
}

/** By its class: the stub of another Worker seems to have every method, and asking it would be a call. */
const isDatabase = (binding: unknown): binding is D1Database => {
  if (typeof binding !== 'object' || binding === null) return false;
  const type: unknown = Object.getPrototypeOf(binding);
  return (
    typeof type === 'object' &&
    type !== null &&
    ['prepare', 'batch', 'withSession'].every((name) => Object.hasOwn(type, name))
  );
};
