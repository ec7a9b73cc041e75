import { existsSync, globSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors';
import { type Exports, findScript, loadModule } from './load-module';

/** What `drizzle.config.ts` says, as far as it concerns the shards. */
export interface DrizzleConfig {
  readonly path: string;
  /** The files of the schema. */
  readonly schemaFiles: readonly string[];
  /** The folder with the migrations. */
  readonly out: string;
}

/**
 * Reads `drizzle.config.ts`.
 *
 * @returns Undefined when there is none, and none was named.
 * @throws UsageError when it cannot be read, or is not one of SQLite.
 */
export async function readDrizzleConfig(root: string, named: string | undefined): Promise<DrizzleConfig | undefined> {
  const path = named === undefined ? findScript(root, 'drizzle.config') : resolve(root, named);
  if (path === undefined) return undefined;
  if (!existsSync(path)) throw new UsageError(`There is no ${path}.`);
  const { default: config } = (await loadModule(path)) as { default?: Exports };
  if (typeof config !== 'object') {
    throw new UsageError(`${path} has no default export.`, { remedy: 'export default defineConfig({ ... })' });
  }
  if (config.dialect !== 'sqlite') {
    throw new UsageError(`${path} is for the dialect ${JSON.stringify(config.dialect)}.`, {
      remedy: "D1 is SQLite: write dialect: 'sqlite'.",
    });
  }
  const folder = dirname(path);
  const schema = [config.schema ?? []].flat().filter((one): one is string => typeof one === 'string');
  return {
    path,
    schemaFiles: [...new Set(schema.flatMap((pattern) => filesOf(folder, pattern)))],
    out: resolve(folder, typeof config.out === 'string' ? config.out : 'drizzle'),
  };
}

/** As drizzle-kit reads `schema`: files, folders, or patterns. */
function filesOf(folder: string, pattern: string): string[] {
  const path = resolve(folder, pattern);
  if (existsSync(path)) {
    return statSync(path).isDirectory() ? globSync(join(path, '*.{ts,mts,cts,js,mjs,cjs}')).sort() : [path];
  }
  const found = globSync(path).sort();
  if (found.length > 0) return found;
  throw new UsageError(`No file of the schema is called ${pattern}.`, { remedy: 'See `schema` in drizzle.config.ts.' });
}

/** The exports of all files of the schema. */
export async function loadSchema({ schemaFiles }: DrizzleConfig): Promise<Record<string, unknown>> {
  const modules = await Promise.all(schemaFiles.map((path) => loadModule(path)));
  return Object.assign({}, ...modules) as Record<string, unknown>;
}
