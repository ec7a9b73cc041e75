import childProcess from 'node:child_process';
import { join } from 'node:path';
import { loadMiniflare } from '../../in-node/load-miniflare';

/** As far as it is used. */
export interface Runtime {
  readonly ready: Promise<unknown>;
  getD1Database(binding: string): Promise<D1Database>;
  getKVNamespace(binding: string): Promise<KVNamespace>;
  dispatchFetch(url: string, init: object): Promise<Response>;
  dispose(): Promise<void>;
}

interface MiniflarePackage {
  Miniflare: new (options: object) => Runtime;
  /** Since Miniflare 5; until then the constructor takes these options itself. */
  convertV4MiniflareOptions?: (options: object) => object;
}

export interface WorkerOptions {
  readonly name: string;
  readonly modules: readonly { readonly type: 'ESModule'; readonly path: string; readonly contents: string }[];
  readonly compatibilityDate: string;
  readonly [option: string]: unknown;
}

/** Any will do: the code that runs there is ours, and needs no more than this. */
export const COMPATIBILITY_DATE = '2026-01-01';

/**
 * workerd with some bindings, by the Miniflare that wrangler itself uses.
 *
 * @param state The folder of the databases; without one they are gone at the end.
 */
export async function startRuntime(root: string, worker: WorkerOptions, state?: string): Promise<Runtime> {
  const { Miniflare, convertV4MiniflareOptions } = (await loadMiniflare([
    join(root, 'package.json'),
  ])) as unknown as MiniflarePackage;
  // The folder's name in both versions.
  const options = {
    ...worker,
    ...(state === undefined ? {} : { resourcePersistencePath: state, defaultPersistRoot: state }),
  };
  return inOwnGroup(async () => {
    const runtime = withoutSignals(() => new Miniflare(convertV4MiniflareOptions?.(options) ?? options));
    try {
      await runtime.ready;
      return runtime;
    } catch (error) {
      await runtime.dispose().catch(() => {});
      throw error;
    }
  });
}

/**
 * What is made leaves signals to `stop.ts`: Miniflare would end the process in the midst of what it does. Its hook of the process's
 * exit stays.
 */
function withoutSignals<T>(make: () => T): T {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const before = new Set(signals.flatMap((signal) => process.listeners(signal)));
  const made = make();
  for (const signal of signals) {
    for (const one of process.listeners(signal)) if (!before.has(one)) process.off(signal, one);
  }
  return made;
}

/**
 * Ctrl-C goes to every process of the terminal's group: databases of this machine would be gone in the midst of a batch, and with
 * them the catalog, in which a run says that it has ended. Windows has no such groups.
 */
async function inOwnGroup<T>(start: () => Promise<T>): Promise<T> {
  const { spawn } = childProcess;
  const apart = (command: string, args: readonly string[], options: childProcess.SpawnOptions) =>
    spawn(command, args, { ...options, detached: process.platform !== 'win32' });
  childProcess.spawn = apart as typeof spawn;
  try {
    return await start();
  } finally {
    childProcess.spawn = spawn;
  }
}

/** A Worker that only has bindings. */
export const NO_CODE: WorkerOptions['modules'] = [
  { type: 'ESModule', path: 'worker.mjs', contents: 'export default {}' },
];

/** Empty databases to try things on, made when asked for. */
export class Scratches {
  readonly #root: string;
  readonly #runtimes: Runtime[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  async make(): Promise<D1Database> {
    const worker = {
      name: 'scratch',
      modules: NO_CODE,
      compatibilityDate: COMPATIBILITY_DATE,
      d1Databases: ['SCRATCH'],
    };
    const runtime = await startRuntime(this.#root, worker);
    this.#runtimes.push(runtime);
    return runtime.getD1Database('SCRATCH');
  }

  async close(): Promise<void> {
    await Promise.all(this.#runtimes.splice(0).map((one) => one.dispose()));
  }
}
