import { defineConfig } from 'vitest/config';
import { nodeTests, typeTests, workerdTests } from './vitest.projects.ts';

export default defineConfig({
  test: {
    maxWorkers: 1,
    projects: [workerdTests({ name: 'workerd', exclude: ['test/**/*.v1.test.ts'] }), nodeTests, typeTests],
  },
});
