import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root } from './local.ts';

/** Brings every shard to the newest migration, as `npx sharded-drizzle migrate` does in a project that has installed it. */
export async function migrateShards(state: string): Promise<void> {
  const main = join(root, 'dist/cli/main.js');
  const child = spawn(process.execPath, [main, 'migrate', '--persist-to', state], { cwd: root, stdio: 'inherit' });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('exit', resolve));
  if (code !== 0) throw new Error('The shards could not be migrated.');
}
