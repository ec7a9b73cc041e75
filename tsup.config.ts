import { defineConfig } from 'tsup';

export default defineConfig({
  entry: ['src/workerd.ts', 'src/node.ts'],
  external: ['cloudflare:workers'],
  format: 'esm',
  target: 'es2022',
  platform: 'neutral',
  dts: true,
  clean: true,
  sourcemap: true,
  treeshake: true,
});
