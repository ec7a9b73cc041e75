import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';

/*
 * node run.ts <script>: runs a script of this folder so that nothing which it started outlives it. wrangler stops its
 * workerd processes on a signal, but not when it is killed; they would go on holding the port and the databases. So the
 * script gets a process group of its own, which is ended with it, and a pipe that closes if this process is killed.
 */
const [script = '', ...args] = process.argv.slice(2);
const hasGroups = process.platform !== 'win32';

const child = spawn(process.execPath, [resolve(import.meta.dirname, script), ...args], {
  detached: hasGroups,
  stdio: ['pipe', 'inherit', 'inherit'],
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));

child.on('exit', (code, signal) => {
  if (hasGroups && child.pid !== undefined) endGroup(child.pid);
  process.exit(code ?? 128 + constants.signals[signal ?? 'SIGTERM']);
});

function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // ESRCH: nobody is left, as it should be.
  }
}
