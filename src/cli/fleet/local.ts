import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Project } from '../project/project';
import { coordinatorOverHttp } from './catalog-over-http';
import type { Place } from './fleet';
import { COMPATIBILITY_DATE, NO_CODE, Scratches, startRuntime, type WorkerOptions } from './miniflare';

/** Nobody else can ask inside of one process. */
const SECRET = crypto.randomUUID();
/** What {@link ./coordinator-worker} calls it. */
const COORDINATOR = 'SHARDED_COORDINATOR';

/**
 * The databases of `wrangler dev`, in wrangler's own files. The coordinator runs from the class of this package, under the name
 * of the user's Worker, so that it has the same storage; `getPlatformProxy` leaves out Durable Objects of the Worker itself.
 */
export async function openLocal(project: Project, persistTo: string | undefined): Promise<Place> {
  const { root, config, wrangler } = project;
  const { kv } = project.sharding;
  const coordinator = project.coordinator();
  const bindings = [...new Set([...project.databases().values()].map(({ binding }) => binding))];
  const { workerOptions } = wrangler.unstable_getMiniflareWorkerOptions(config.path, config.env);
  const state = join(resolve(root, persistTo ?? '.wrangler/state'), 'v3');
  const runtime = await startRuntime(
    root,
    {
      name: coordinator?.script ?? config.worker,
      modules: await modulesFor(coordinator?.className),
      compatibilityDate: COMPATIBILITY_DATE,
      bindings: { SHARDED_SECRET: SECRET },
      // Under wrangler's ids, which the names of the files come from.
      d1Databases: only(workerOptions.d1Databases, (binding) => bindings.includes(binding)),
      kvNamespaces: only(workerOptions.kvNamespaces, (binding) => binding === kv),
      durableObjects: coordinator ? { [COORDINATOR]: { className: coordinator.className, useSQLite: true } } : {},
    },
    state,
  );
  const scratches = new Scratches(root);
  const close = async () => {
    await Promise.all([runtime.dispose(), scratches.close()]);
  };
  try {
    const env: Record<string, unknown> = {};
    for (const binding of bindings) env[binding] = await runtime.getD1Database(binding);
    if (kv !== undefined) env[kv] = await runtime.getKVNamespace(kv);
    if (coordinator) {
      env[coordinator.binding] = coordinatorOverHttp('http://coordinator.local', SECRET, (url, init) =>
        runtime.dispatchFetch(url, init),
      );
    }
    return { where: 'local', env, scratch: () => scratches.make(), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The Worker that has the coordinator's class, under the name that the user's Worker exports it by. */
async function modulesFor(className: string | undefined): Promise<WorkerOptions['modules']> {
  if (className === undefined) return NO_CODE;
  const contents = await readFile(join(dirname(fileURLToPath(import.meta.url)), 'coordinator-worker.js'), 'utf8');
  const main = `export { ShardCoordinator as ${className}, default } from './coordinator.mjs';`;
  return [
    { type: 'ESModule', path: 'worker.mjs', contents: main },
    { type: 'ESModule', path: 'coordinator.mjs', contents },
  ];
}

const only = <T>(all: Readonly<Record<string, T>> = {}, isNeeded: (binding: string) => boolean): Record<string, T> =>
  Object.fromEntries(Object.entries(all).filter(([binding]) => isNeeded(binding)));
