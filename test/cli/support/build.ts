import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** The tests run the command line as it is published: built, in a process of its own. */
export default function buildCommandLine(): void {
  const tsup = join(root, 'node_modules/tsup/dist/cli-default.js');
  execFileSync(process.execPath, [tsup, '--config', 'tsup.cli.config.ts', '--silent'], { cwd: root, stdio: 'inherit' });
}
