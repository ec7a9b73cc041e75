import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../errors';

export type MiniflareModule = typeof import('miniflare');

/** Packages that bring Miniflare along: a package manager may keep it where only they see it. */
const BRINGERS = ['wrangler', '@cloudflare/vitest-plugin', '@cloudflare/vitest-pool-workers'];

/**
 * The Miniflare of whoever writes the test, so that it is the one of their wrangler.
 *
 * @param places Files from which it may be seen, in this order.
 * @default places The current folder, then this package.
 * @throws ConfigError when there is none.
 */
export async function loadMiniflare(
  places: readonly string[] = [join(process.cwd(), 'package.json'), import.meta.filename],
): Promise<MiniflareModule> {
  const found = places
    .flatMap((place) => [place, ...BRINGERS.map((name) => manifestOf(name, place))])
    .map((place) => place && manifestOf('miniflare', place))
    .find((manifest) => manifest !== undefined);
  if (found) {
    const main = createRequire(found).resolve('miniflare');
    return import(/* @vite-ignore */ pathToFileURL(main).href) as Promise<MiniflareModule>;
  }
  throw new ConfigError('D1 of this machine is run by Miniflare, which is not installed.', {
    remedy: 'npm install --save-dev miniflare, or wrangler, which brings it along.',
  });
}

/** The package.json of a package as a file sees it. Not by `resolve`, as what a package exports may be for `import` only. */
function manifestOf(name: string, from: string): string | undefined {
  const manifest = (createRequire(from).resolve.paths(name) ?? [])
    .map((folder) => join(folder, name, 'package.json'))
    .find(existsSync);
  // What a package itself depends on is found from where it really is.
  return manifest === undefined ? undefined : realpathSync(manifest);
}
