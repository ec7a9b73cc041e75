import { defineConfig } from 'vitest/config';
import { RUNTIMES, workerdTests } from './vitest.projects.ts';

/** Long tests of what happens between the shards, where Drizzle plays no part. */
const withoutDrizzle = ['crashes', 'stress', 'planted-faults'].map((name) => `test/moves/${name}.test.ts`);

/** The same tests against drizzle-orm 1.0: the library and the tests import `drizzle-orm`, which is replaced here. */
export default defineConfig({
  test: {
    maxWorkers: RUNTIMES,
    projects: [
      {
        ...workerdTests({ name: 'workerd-v1', exclude: ['test/**/*.v0.test.ts', ...withoutDrizzle] }),
        resolve: { alias: [{ find: /^drizzle-orm(?=\/|$)/, replacement: 'drizzle-orm-v1' }] },
      },
    ],
  },
});
