/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out.
 *
 * npm omits them when the registry it asked does not offer them, and then `npm ci` refuses the lock file, even on a
 * platform that does not need them. Run this after a change of dependencies; it changes nothing when nothing is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface LockedPackage {
  version?: string;
  optionalDependencies?: Record<string, string>;
  [field: string]: unknown;
}

const path = join(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockedPackage> };

const added: string[] = [];
for (const [parent, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (isLocked(parent, name)) continue;
    if (!/^\d/.test(version)) throw new Error(`${name} is wanted as ${version}: only an exact version can be added.`);
    lock.packages[`node_modules/${name}`] = { version, dev: true, optional: true, ...platform(name) };
    added.push(`${name}@${version}`);
  }
}

if (added.length > 0) {
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
}
console.log(added.length > 0 ? `Added to the lock file:\n${added.join('\n')}` : 'The lock file is complete.');

/** Whether `name` resolves from `parent`, as Node looks for it: in the parent's node_modules and then outwards. */
function isLocked(parent: string, name: string): boolean {
  for (let folder = parent; ; folder = folder.replace(/\/?node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    if (lock.packages[`${folder && `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

/** What npm decides by whether to install a package, read from a name such as `@scope/tool-linux-x64-musl`. */
function platform(name: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const match = /(android|darwin|freebsd|linux|openbsd|openharmony|win32|windows)-([a-z0-9]+)(?:-(\w+))?$/.exec(name);
  if (!match) throw new Error(`${name} does not tell its platform by its name.`);
  const [, os = '', cpu = '', abi = ''] = match;
  const libc =
    os !== 'linux' ? undefined : abi.startsWith('musl') ? 'musl' : abi.startsWith('gnu') ? 'glibc' : undefined;
  return {
    os: [os === 'windows' ? 'win32' : os],
    cpu: [cpu === '64' ? 'x64' : cpu],
    ...(libc && { libc: [libc] }),
  };
}
