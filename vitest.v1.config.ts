import { defineConfig } from 'vitest/config';
import { workerdTests } from './vitest.projects.ts';

/** The same tests against drizzle-orm 1.0: the library and the tests import `drizzle-orm`, which is replaced here. */
export default defineConfig({
  test: {
    maxWorkers: 1,
    projects: [
      {
        ...workerdTests({ name: 'workerd-v1', exclude: ['test/**/*.v0.test.ts'] }),
        resolve: { alias: [{ find: /^drizzle-orm(?=\/|$)/, replacement: 'drizzle-orm-v1' }] },
      },
    ],
  },
});
