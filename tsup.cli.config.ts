import { copyFile } from 'node:fs/promises';
import { defineConfig, type Options } from 'tsup';

/** The command line by itself, which is built in seconds: `npm start` and its tests need no more. */
export const commandLine: Options[] = [
  {
    entry: { 'cli/main': 'src/cli/main.ts', 'cli/start': 'src/cli/start.ts' },
    // Loaded once Node is known to be able to.
    external: ['./start.js'],
    splitting: false,
    // Cloudflare's client has 120 MB when installed, and 26 kB of it are used.
    noExternal: ['cloudflare'],
    format: 'esm',
    target: 'node22',
    platform: 'node',
    treeshake: true,
    // Its licence asks for a copy of itself.
    onSuccess: () => copyFile('node_modules/cloudflare/LICENSE', 'dist/cli/LICENSE-cloudflare'),
  },
  {
    // Text that the command line hands to workerd, so all of it is in one file.
    entry: { 'cli/coordinator-worker': 'src/cli/fleet/coordinator-worker.ts' },
    external: ['cloudflare:workers'],
    noExternal: [/^(?!cloudflare:)/],
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    splitting: false,
    treeshake: true,
  },
];

export default defineConfig(commandLine);
