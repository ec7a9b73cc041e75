import { defineConfig, type Options } from 'tsup';
import { commandLine } from './tsup.cli.config.ts';

/** Modules that a runtime itself has. */
const RUNTIME = [/^cloudflare:/, /^node:/];

const library: Options = {
  entry: {
    workerd: 'src/workerd.ts',
    node: 'src/node.ts',
    'collegedb/workerd': 'src/collegedb/workerd.ts',
    'collegedb/node': 'src/collegedb/node.ts',
    'testing/workerd': 'src/testing/workerd.ts',
    'testing/node': 'src/testing/node.ts',
    'testing/config': 'src/testing/config.ts',
  },
  external: [...RUNTIME, 'miniflare'],
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  dts: { compilerOptions: { types: ['node', '@cloudflare/workers-types', '@cloudflare/vitest-plugin/types'] } },
  removeNodeProtocol: false,
  sourcemap: true,
  treeshake: true,
};

/** The Worker that `testCluster` starts from Node, which reads it as text: one file with all that it imports. */
const testWorker: Options = {
  entry: { 'testing/node-worker': 'src/testing/node/worker.ts' },
  external: RUNTIME,
  // All but what the runtime itself has.
  noExternal: [/^(?!cloudflare:|node:)/],
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  splitting: false,
  treeshake: true,
};

export default defineConfig([library, testWorker, ...commandLine]);
