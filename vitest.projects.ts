import { existsSync, statfsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import type { TestProjectInlineConfiguration } from 'vitest/config';
import { cityRows } from './example/node/dataset.ts';

/**
 * The databases are temporary files. SQLite waits for the disk after each transaction, up to half of the time that the tests
 * take, so they are in memory where Linux has room for them there. A container may have 64 MB, and the tests need as much.
 */
const MEMORY = '/dev/shm';
const GIB = 2 ** 30;
if (process.env.TMPDIR === undefined && existsSync(MEMORY)) {
  const { bavail, bsize } = statfsSync(MEMORY);
  if (bavail * bsize >= GIB) process.env.TMPDIR = MEMORY;
}

/**
 * How many runtimes take test files from one queue. A runtime is one thread, so a single one leaves a core idle. Each has
 * databases, objects and a KV namespace of its own, in a temporary folder, and test files share nothing else.
 */
export const RUNTIMES = 2;

/** Shards that tests can use; `test/support/shards.ts` hands out the first n of them. */
const SHARD_COUNT = 7;

const databases = ['DB_PLAIN', ...Array.from({ length: SHARD_COUNT }, (_, index) => `DB_${index}`)];

/** Tests of what runs in Node: the command line, and what a user's own tests do there. */
const IN_NODE = ['test/cli/**/*.test.ts', 'test/node/**/*.test.ts'];

/** The 10,000 largest cities: see `test/support/cities.ts`. */
const cities = cityRows
  .toSorted((a, b) => b.population - a.population || a.id - b.id)
  .slice(0, 10_000)
  .map(({ id, name, countryCode, population }) => [String(id), name, countryCode, population]);

/** js-xxhash names source maps that it does not ship; Vite would warn of each at every run. */
const withoutMissingSourceMaps = {
  name: 'without-missing-source-maps',
  enforce: 'pre' as const,
  async load(id: string) {
    if (!id.includes('node_modules/js-xxhash/')) return undefined;
    const code = await readFile(id.split('?')[0] as string, 'utf8');
    return code.replace(/^\/\/# sourceMappingURL=.*$/m, '');
  },
};

/**
 * Tests that run in workerd with real local D1 databases. The types of the bindings are in `test/support/env.d.ts`.
 *
 * A test whose name ends in `.v0.test.ts` or `.v1.test.ts` is only for drizzle-orm 0.45 or 1.0, such as one of
 * relational queries, which changed; each configuration leaves out the other's with `exclude`.
 */
export function workerdTests({ name, exclude }: { name: string; exclude: string[] }): TestProjectInlineConfiguration {
  return {
    plugins: [
      withoutMissingSourceMaps,
      cloudflareTest({
        main: './test/support/worker.ts',
        miniflare: {
          compatibilityDate: '2026-11-01',
          compatibilityFlags: ['nodejs_compat'],
          d1Databases: Object.fromEntries(databases.map((name) => [name, name])),
          bindings: { CITIES: cities, COLLEGEDB_SECRET: 'correct horse' },
          kvNamespaces: ['KV'],
          durableObjects: {
            SHARD_COORDINATOR: { className: 'ShardCoordinator', useSQLite: true },
            COLLEGEDB_COORDINATOR: { className: 'CollegeDBCoordinator', useSQLite: true },
          },
        },
      }),
    ],
    test: {
      name,
      include: ['test/**/*.test.ts'],
      exclude: [...exclude, ...IN_NODE],
      setupFiles: ['test/support/setup.ts'],
      // A runtime takes one file after the other: starting one for each costs half a second a file. `setup.ts` empties
      // the databases.
      isolate: false,
      // For what hangs. A test that takes seconds, next to other work, may take ten times as long.
      testTimeout: 60_000,
      hookTimeout: 60_000,
    },
  };
}

/** Tests that run in Node itself. */
export const nodeTests: TestProjectInlineConfiguration = {
  plugins: [withoutMissingSourceMaps],
  test: {
    name: 'node',
    include: IN_NODE,
    setupFiles: ['test/node/support/built-worker.ts'],
    globalSetup: ['test/cli/support/build.ts'],
    // A run of the command line takes two seconds, and a busy machine ten times as long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
};

/** Type tests: checked by tsc, never run. */
export const typeTests: TestProjectInlineConfiguration = {
  test: {
    name: 'types',
    include: [],
    typecheck: {
      enabled: true,
      only: true,
      include: ['test/types/**/*.test-d.ts'],
      tsconfig: 'test/types/tsconfig.json',
    },
  },
};
