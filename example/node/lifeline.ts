import { constants } from 'node:os';

/**
 * Ends this process when it is told to, or when `run.ts` is gone. It exits rather than dies of the signal, so that
 * "exit" handlers run: wrangler's stops workerd.
 */
export function exitWithParent(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(128 + constants.signals[signal]));
  }
  process.stdin.on('close', () => process.exit(1)).resume();
}
