import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createJiti } from 'jiti';
import { UsageError } from '../errors';

export type Exports = Readonly<Record<string, unknown>>;

/**
 * The exports of a module of the user's, TypeScript or not.
 *
 * @throws UsageError with what it failed with.
 */
export async function loadModule(path: string): Promise<Exports> {
  try {
    return (await createJiti(import.meta.url, { moduleCache: true }).import(path)) as Exports;
  } catch (error) {
    throw new UsageError(`${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  }
}

/**
 * A package of the user's project: of wrangler and drizzle-kit the versions count that the project has.
 *
 * @throws UsageError when it is not installed.
 */
export async function loadPackage<T>(root: string, name: string, install = name): Promise<T> {
  const from = createRequire(join(root, 'package.json'));
  let path: string;
  try {
    path = from.resolve(name);
  } catch (cause) {
    throw new UsageError(`${name} is not installed in ${root}.`, {
      remedy: `npm install --save-dev ${install}`,
      cause,
    });
  }
  return (await import(pathToFileURL(path).href)) as T;
}

const SCRIPTS = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'];

/** The first of `name.ts`, `name.js`, ... that there is. */
export const findScript = (folder: string, name: string): string | undefined =>
  SCRIPTS.map((extension) => join(folder, `${name}.${extension}`)).find((path) => existsSync(path));
