import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of the processes that this one has started, on Linux; 0 elsewhere. */
export function watchMemory(): { stop(): { megabytes: number } } {
  const first = residentBytes();
  let most = first;
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes());
  }, 100);
  return {
    stop: () => {
      clearInterval(timer);
      return { megabytes: (most - first) / 1e6 };
    },
  };
}

function residentBytes(): number {
  if (process.platform !== 'linux') return 0;
  const pageSize = Number(execFileSync('getconf', ['PAGESIZE']).toString());
  let bytes = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parent === process.pid) bytes += Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageSize;
    } catch {
      // It has ended meanwhile.
    }
  }
  return bytes;
}
