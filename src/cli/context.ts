import type { Context, Options } from './command';
import { UsageError } from './errors';
import { type Fleet, type FleetSettings, fleetOf, type Place } from './fleet/fleet';
import { openLocal } from './fleet/local';
import { openRemote } from './fleet/remote';
import { text, wholeNumber } from './options';
import type { Output } from './output/output';
import { Project } from './project/project';
import type { Stop } from './stop';

/** A context, and what ends all that it has opened. */
export function createContext(
  cwd: string,
  options: Options,
  out: Output,
  stop: Stop,
): Context & { close(): Promise<void> } {
  let project: Promise<Project> | undefined;
  let fleet: Promise<Fleet> | undefined;
  const readProject = () => {
    project ??= Project.read(cwd, {
      config: text(options, 'config'),
      drizzleConfig: text(options, 'drizzleConfig'),
      sharding: text(options, 'sharding'),
      env: text(options, 'env'),
    });
    return project;
  };
  const open = async (joining: string | undefined): Promise<Fleet> => {
    const settings = { concurrency: wholeNumber(options, 'concurrency'), waitMs: waitOf(options) };
    const read = await readProject();
    const place = await openPlace(read, options);
    try {
      const all = fleetOf(read, place, settings);
      const isFree = place.where === 'local' && joining === undefined;
      return isFree ? all : await withoutNew(all, read, settings, out, joining);
    } catch (error) {
      await place.close();
      throw error;
    }
  };
  return {
    out,
    cwd,
    options,
    heedStop: () => stop.heed(),
    project: readProject,
    fleet: ({ joining } = {}) => {
      fleet ??= open(joining);
      return fleet;
    },
    close: async () => {
      await (await fleet?.catch(() => undefined))?.close();
    },
  };
}

/**
 * A shard that joined before the Worker binds it would be missing there, and every query that asks all shards be refused. So only
 * `new-shard` lets one join, and no other along with it, as first contact takes all that are there.
 */
async function withoutNew(
  fleet: Fleet,
  project: Project,
  settings: FleetSettings,
  out: Output,
  joining: string | undefined,
): Promise<Fleet> {
  const view = await fleet.catalog.map();
  const known = new Set(view?.map.shards.map(({ name }) => name));
  const added = [...fleet.databases.keys()].filter((name) => view && !known.has(name) && name !== joining);
  if (added.length === 0) return fleet;
  for (const name of added)
    out.note(`${name} is no part of the cluster yet, and is left out: npx sharded-drizzle new-shard ${name}`);
  return fleetOf(project, fleet, settings, new Set(added));
}

function openPlace(project: Project, options: Options): Promise<Place> {
  if (options.local === true && options.remote === true) {
    throw new UsageError('--local and --remote are both given.', { remedy: 'Write one of them.' });
  }
  if (options.remote === true) return openRemote(project, { url: text(options, 'url'), env: process.env });
  return openLocal(project, text(options, 'persistTo'));
}

/** `--wait` is in seconds. */
function waitOf(options: Options): number | undefined {
  const seconds = wholeNumber(options, 'wait');
  return seconds === undefined ? undefined : seconds * 1000;
}
