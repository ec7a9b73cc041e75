import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { DoctorFinding } from './finding';
import { error, warning } from './finding';

/** What wrangler needs: https://developers.cloudflare.com/workers/wrangler/install-and-update/ */
const MIN_NODE = [22, 12] as const;

/** Versions that this package works with, as its own package.json says. */
export function versionFindings(root: string): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < MIN_NODE[0] || (major === MIN_NODE[0] && minor < MIN_NODE[1])) {
    findings.push(
      error(`Node is ${process.versions.node}, and wrangler needs ${MIN_NODE.join('.')}.`, 'Install a newer Node.'),
    );
  }
  const orm = versionOf(root, 'drizzle-orm');
  if (orm === undefined) findings.push(error('drizzle-orm is not installed.', 'npm install drizzle-orm'));
  else if (!isSupported(orm)) {
    findings.push(
      error(`drizzle-orm is ${orm}; 0.45.4 and later of 0.45, and 1.0, are supported.`, 'npm install drizzle-orm@0.45'),
    );
  }
  if (versionOf(root, 'drizzle-kit') === undefined) {
    findings.push(warning('drizzle-kit is not installed.', 'npm install --save-dev drizzle-kit'));
  }
  return findings;
}

function isSupported(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  return major === 1 || (major === 0 && minor === 45 && patch >= 4);
}

/** Of the package as the project sees it; undefined where it is not installed. */
function versionOf(root: string, name: string): string | undefined {
  const folders = createRequire(join(root, 'package.json')).resolve.paths(name) ?? [];
  const manifest = folders.map((folder) => join(folder, name, 'package.json')).find((path) => existsSync(path));
  if (manifest === undefined) return undefined;
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version?: string };
  return version ?? dirname(manifest);
}
