import { defineConfig } from 'tsup';
import { commandLine } from './tsup.cli.config.ts';

export default defineConfig([
  {
    entry: {
      workerd: 'src/workerd.ts',
      node: 'src/node.ts',
      'collegedb/workerd': 'src/collegedb/workerd.ts',
      'collegedb/node': 'src/collegedb/node.ts',
    },
    external: ['cloudflare:workers'],
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    dts: true,
    sourcemap: true,
    treeshake: true,
  },
  ...commandLine,
]);
