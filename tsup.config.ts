import { defineConfig } from 'tsup';

export default defineConfig({
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
  clean: true,
  sourcemap: true,
  treeshake: true,
});
