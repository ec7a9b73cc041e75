import { join, resolve } from 'node:path';
import { unstable_startWorker } from 'wrangler';

export const root = resolve(import.meta.dirname, '../..');
const configPath = join(root, 'wrangler.toml');

// Nothing here needs the network: without these, wrangler asks for the caller's location and reports usage.
process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
process.env.WRANGLER_SEND_METRICS = 'false';
process.env.WRANGLER_LOG ??= 'warn';

/** Where `wrangler dev` keeps its local databases, too. */
export const defaultStateDirectory = join(root, '.wrangler/state');

/** A Worker that runs on this machine. */
export interface LocalWorker {
  url: URL;
  stop(): Promise<void>;
}

export interface LocalWorkerOptions {
  /** The file of the Worker, from the project's folder on. @default the `main` of wrangler.toml */
  entrypoint?: string;
  /** The folder with the local databases. */
  state: string;
  /** @default any free port */
  port?: number;
  /** Build and start again when a file changes. @default false */
  watch?: boolean;
}

/** Starts a Worker with the bindings of wrangler.toml; resolves when it answers requests. */
export async function startWorker(options: LocalWorkerOptions): Promise<LocalWorker> {
  const { entrypoint, state, port = 0, watch = false } = options;
  const worker = await unstable_startWorker({
    config: configPath,
    ...(entrypoint && { entrypoint: join(root, entrypoint) }),
    dev: {
      server: { hostname: '127.0.0.1', port },
      inspector: false,
      persist: state,
      logLevel: 'warn',
      watch,
    },
  });
  await worker.ready;
  return { url: await worker.url, stop: () => worker.dispose() };
}
