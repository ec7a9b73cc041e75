import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../errors';
import { loadPackage } from './load-module';

/** A D1 in wrangler's configuration. */
export interface DatabaseBinding {
  readonly binding: string;
  readonly name: string;
  /** Of Cloudflare; undefined where none is given yet. */
  readonly id: string | undefined;
}

/** What wrangler's configuration says, as far as it concerns the shards. */
export interface WranglerConfig {
  readonly path: string;
  /** The environment whose bindings these are. */
  readonly env: string | undefined;
  /** The name of the Worker in that environment. */
  readonly worker: string;
  readonly accountId: string | undefined;
  readonly databases: readonly DatabaseBinding[];
  readonly kv: readonly string[];
  /** Durable Objects with SQLite that its migrations make. */
  readonly classes: readonly string[];
  readonly objects: readonly {
    readonly binding: string;
    readonly className: string;
    readonly script: string | undefined;
  }[];
}

/** As far as it is used; https://developers.cloudflare.com/workers/wrangler/api/ */
interface RawConfig {
  readonly name?: string;
  /** Older versions of wrangler do not say. */
  readonly definedEnvironments?: readonly string[];
  readonly account_id?: string;
  readonly d1_databases: readonly { binding: string; database_name?: string; database_id?: string }[];
  readonly kv_namespaces: readonly { binding: string }[];
  readonly migrations: readonly {
    new_sqlite_classes?: readonly string[];
    renamed_classes?: readonly { to: string }[];
  }[];
  readonly durable_objects: { bindings: readonly { name: string; class_name: string; script_name?: string }[] };
}

export interface Wrangler {
  unstable_readConfig(
    args: { config: string; env: string | undefined },
    options?: { hideWarnings?: boolean },
  ): RawConfig;
  unstable_getMiniflareWorkerOptions(path: string, env: string | undefined): { workerOptions: LocalBindings };
}

/** The ids under which wrangler keeps local resources. */
export interface LocalBindings {
  readonly d1Databases?: Readonly<Record<string, string | { id: string }>>;
  readonly kvNamespaces?: Readonly<Record<string, string | { id: string }>>;
}

const FILES = ['wrangler.json', 'wrangler.jsonc', 'wrangler.toml'];

/** Wrangler of the project, told not to talk. */
export function loadWrangler(root: string): Promise<Wrangler> {
  process.env.WRANGLER_LOG ??= 'error';
  process.env.WRANGLER_SEND_METRICS ??= 'false';
  return loadPackage<Wrangler>(root, 'wrangler');
}

/** The nearest configuration of wrangler, from a folder upwards. */
export function findWranglerConfig(folder: string, named: string | undefined): string {
  if (named !== undefined) {
    const path = resolve(folder, named);
    if (existsSync(path)) return path;
    throw new UsageError(`There is no ${path}.`);
  }
  for (let at = folder; ; at = dirname(at)) {
    const found = FILES.map((name) => join(at, name)).find((path) => existsSync(path));
    if (found !== undefined) return found;
    if (dirname(at) === at) break;
  }
  throw new UsageError(`There is no ${FILES.join(', ')} in ${folder} or above.`, {
    remedy: 'Run it in the folder of the Worker, or name the file: --config path/to/wrangler.toml',
  });
}

/** @throws UsageError when wrangler cannot read it, or it binds no D1. */
export function readWranglerConfig(wrangler: Wrangler, path: string, env: string | undefined): WranglerConfig {
  let raw: RawConfig;
  try {
    raw = wrangler.unstable_readConfig({ config: path, env }, { hideWarnings: true });
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  // Wrangler would only warn, and take the databases of the top level.
  if (env !== undefined && raw.definedEnvironments?.includes(env) === false) {
    throw new UsageError(`${path} has no environment ${env}.`, {
      remedy: raw.definedEnvironments.length > 0 ? `It has ${raw.definedEnvironments.join(', ')}.` : 'Leave --env out.',
    });
  }
  const databases = raw.d1_databases.map(({ binding, database_name, database_id }) => ({
    binding,
    name: database_name ?? binding,
    id: database_id,
  }));
  if (databases.length === 0) {
    throw new UsageError(`${path} binds no D1 database${env === undefined ? '' : ` in the environment ${env}`}.`, {
      remedy: 'Add [[d1_databases]] for each shard; wrangler does not inherit bindings from the top level.',
    });
  }
  return {
    path,
    env,
    worker: raw.name ?? 'worker',
    accountId: raw.account_id,
    databases,
    classes: raw.migrations.flatMap(({ new_sqlite_classes = [], renamed_classes = [] }) => [
      ...new_sqlite_classes,
      ...renamed_classes.map(({ to }) => to),
    ]),
    kv: raw.kv_namespaces.map(({ binding }) => binding),
    objects: raw.durable_objects.bindings.map(({ name, class_name, script_name }) => ({
      binding: name,
      className: class_name,
      script: script_name,
    })),
  };
}
