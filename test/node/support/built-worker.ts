import { join } from 'node:path';
import { build } from 'esbuild';
import { vi } from 'vitest';

const root = join(import.meta.dirname, '../../..');

// In the package the Worker is a file that `npm run build` makes; tests run the sources as they are.
vi.mock('../../../src/testing/node/worker-script', () => {
  let script: Promise<string> | undefined;
  return {
    workerScript: () => {
      script ??= bundle();
      return script;
    },
  };
});

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'src/testing/node/worker.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    external: ['cloudflare:*', 'node:*'],
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
