import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The built `worker.ts`, which lies beside the built entry: see `tsup.config.ts`. */
export const workerScript = (): Promise<string> => readFile(join(import.meta.dirname, 'node-worker.js'), 'utf8');
