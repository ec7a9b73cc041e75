import { defineConfig } from 'vitest/config';
import { nodeTests, RUNTIMES, typeTests, workerdTests } from './vitest.projects.ts';

export default defineConfig({
  test: {
    maxWorkers: RUNTIMES,
    projects: [workerdTests({ name: 'workerd', exclude: ['test/**/*.v1.test.ts'] }), nodeTests, typeTests],
  },
});
