import { join } from 'node:path';
import { loadMiniflare } from '../../in-node/load-miniflare';

/** As far as it is used. */
export interface Runtime {
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
  return new Miniflare(convertV4MiniflareOptions?.(options) ?? options);
}

const NO_CODE = [{ type: 'ESModule', path: 'worker.mjs', contents: 'export default {}' }] as const;

/** A runtime with one empty database, to try things on. */
export async function openScratch(root: string): Promise<{ database: D1Database; close: () => Promise<void> }> {
  const runtime = await startRuntime(root, {
    name: 'scratch',
    modules: NO_CODE,
    compatibilityDate: COMPATIBILITY_DATE,
    d1Databases: ['SCRATCH'],
  });
  return { database: await runtime.getD1Database('SCRATCH'), close: () => runtime.dispose() };
}
