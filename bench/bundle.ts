import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/**
 * One ES module with everything that `entry`, a file in this folder, imports.
 *
 * @param same compares plain Drizzle with itself: shows how far two equal things differ in this measurement.
 */
export async function bundle(entry: string, same: boolean): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, entry)],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*', 'node:*'],
    plugins: same ? [plainSubject] : [],
    write: false,
  });
  const [output] = outputFiles;
  if (!output) throw new Error(`${entry} gave no bundle.`);
  return output.text;
}

const plainSubject: Plugin = {
  name: 'plain-subject',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/subject\.ts$/ }, () => ({ path: join(import.meta.dirname, 'subject-plain.ts') })),
};
