import { readMigrationsFolder } from '../in-node/migrations-folder';
import { bindingNames, COORDINATOR_BINDING, KV_BINDING, MIGRATIONS_BINDING, shardNames } from './names';

export { readMigrationsFolder } from '../in-node/migrations-folder';

/** What `shardBindings` takes. */
export interface ShardBindingsOptions {
  /** How many shards, or their names: the same as for `testCluster`. */
  shards: number | readonly string[];
  /** The folder of drizzle-kit, which `testCluster` then applies without being told. */
  migrations?: string;
}

/** What a binding's value may be. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The part of Miniflare's options that a test cluster stands on. */
export interface ShardBindings {
  d1Databases: Record<string, string>;
  kvNamespaces: string[];
  durableObjects: Record<string, { className: string; useSQLite: true }>;
  bindings: Record<string, Json>;
}

/**
 * The bindings for `testCluster` in workerd. The Worker that `main` names has to export `ShardCoordinator`.
 *
 * @example
 * // vitest.config.ts
 * cloudflareTest({
 *   main: './src/worker.ts',
 *   miniflare: { compatibilityDate: '2026-11-01', ...shardBindings({ shards: 3, migrations: './drizzle' }) },
 * });
 * @throws ConfigError when there are no shards, or no migrations in the folder.
 */
export function shardBindings({ shards, migrations }: ShardBindingsOptions): ShardBindings {
  const names = bindingNames(shardNames(shards));
  return {
    d1Databases: Object.fromEntries(names.map((name) => [name, name])),
    kvNamespaces: [KV_BINDING],
    durableObjects: { [COORDINATOR_BINDING]: { className: 'ShardCoordinator', useSQLite: true } },
    bindings: migrations === undefined ? {} : { [MIGRATIONS_BINDING]: readMigrationsFolder(migrations) as Json },
  };
}
