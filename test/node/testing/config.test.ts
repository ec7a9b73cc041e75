import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { expect, it } from 'vitest';
import { readMigrationsFolder, shardBindings } from '../../../src/testing/config';
import { folderBundle, journalBundle } from '../../testing/schema';
import { foldersFolder, folderWith, journalFolder } from '../support/folders';

it('shardBindings names bindings after shards', () => {
  const fragment = shardBindings({ shards: ['db-east', 'db.west'], migrations: journalFolder() });
  expect(fragment).toEqual({
    d1Databases: { DB_EAST: 'DB_EAST', DB_WEST: 'DB_WEST' },
    kvNamespaces: ['KV'],
    durableObjects: { SHARD_COORDINATOR: { className: 'ShardCoordinator', useSQLite: true } },
    bindings: { SHARD_MIGRATIONS: journalBundle },
  });
  expect(Object.keys(shardBindings({ shards: 2 }).d1Databases)).toEqual(['SHARD_0', 'SHARD_1']);
  expect(() => shardBindings({ shards: 1.5 })).toThrow('These are no shards for a test: 1.5.');
  expect(() => shardBindings({ shards: ['db-a', 'db_a'] })).toThrow('are both DB_A');
  // What the plugin takes, as far as TypeScript can tell.
  expect(cloudflareTest({ main: './worker.ts', miniflare: { ...fragment } })).toBeDefined();
});

it('readMigrationsFolder reads what either drizzle-kit writes', () => {
  expect(readMigrationsFolder(journalFolder())).toEqual(journalBundle);
  expect(readMigrationsFolder(foldersFolder())).toEqual(folderBundle);
  expect(() => readMigrationsFolder(folderWith({}))).toThrow('There are no migrations of drizzle-kit');
});
