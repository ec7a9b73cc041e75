import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../errors';
import { readMigrationsFolder } from '../../in-node/migrations-folder';
import { readMigrations } from '../../migrations/bundle';
import type { CliCommand } from '../command';
import { UsageError } from '../errors';
import type { Project } from '../project/project';

export const generate: CliCommand = {
  name: 'generate',
  summary: 'Write a migration for what has changed in the schema: drizzle-kit generate.',
  detail: 'Whatever else is given is passed on to drizzle-kit.',
  examples: [
    ['generate --name=add-email', 'a migration with a name'],
    ['generate --custom --name=fill-email', 'an empty one, to write by hand'],
  ],
  offline: true,
  passesOn: true,
  run: async ({ project: readProject, out }, args) => {
    const project = await readProject();
    const { path, out: folder } = project.needDrizzle();
    const before = new Set(tagsIn(folder));
    const code = await drizzleKit(project, ['generate', '--config', path, ...args], out.json);
    const generated = tagsIn(folder).filter((tag) => !before.has(tag));
    return { result: { folder, generated }, failed: code !== 0 };
  },
};

function tagsIn(folder: string): string[] {
  try {
    return readMigrations(readMigrationsFolder(folder)).migrations.map(({ tag }) => tag);
  } catch (error) {
    // There are none yet.
    if (error instanceof ConfigError) return [];
    throw error;
  }
}

/** Runs drizzle-kit of the project; what it says is no part of a JSON document. */
function drizzleKit({ root }: Project, args: readonly string[], quiet: boolean): Promise<number> {
  const bin = binOf(root);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd: root,
      stdio: ['inherit', quiet ? 'ignore' : 'inherit', 'inherit'],
    });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function binOf(root: string): string {
  const remedy = 'npm install --save-dev drizzle-kit';
  try {
    const main = createRequire(join(root, 'package.json')).resolve('drizzle-kit');
    const bin = join(dirname(main), 'bin.cjs');
    if (existsSync(bin)) return bin;
  } catch (cause) {
    throw new UsageError(`drizzle-kit is not installed in ${root}.`, { remedy, cause });
  }
  throw new UsageError('This version of drizzle-kit has no bin.cjs.', {
    remedy: 'Run `npx drizzle-kit generate` itself.',
  });
}
