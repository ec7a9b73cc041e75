import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../errors';

export type MiniflareModule = typeof import('miniflare');

/** Packages that bring Miniflare along: a package manager may keep it where only they see it. */
const BRINGERS = ['wrangler', '@cloudflare/vitest-plugin'];

/**
 * The Miniflare of whoever writes the test, so that it is the one of their wrangler.
 *
 * @throws ConfigError when there is none.
 */
export async function loadMiniflare(from = process.cwd()): Promise<MiniflareModule> {
  const project = join(from, 'package.json');
  const places = [project, import.meta.url];
  for (const place of places) {
    const path =
      resolve('miniflare', place) ??
      BRINGERS.map((name) => resolve(name, place))
        .map((bringer) => bringer && resolve('miniflare', bringer))
        .find(Boolean);
    if (path) return import(/* @vite-ignore */ pathToFileURL(path).href) as Promise<MiniflareModule>;
  }
  throw new ConfigError('testCluster runs D1 with Miniflare, which is not installed.', {
    remedy: 'npm install --save-dev miniflare, or wrangler, which brings it along.',
  });
}

function resolve(name: string, from: string): string | undefined {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return undefined;
  }
}
