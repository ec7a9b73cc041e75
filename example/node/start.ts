import { createServer } from 'node:net';
import { exitWithParent } from './lifeline.ts';
import { loadDataSet } from './load.ts';
import { defaultStateDirectory, startWorker } from './local.ts';
import { migrateShards } from './migrate.ts';

const port = Number(process.env.PORT ?? 8787);

exitWithParent();
try {
  await checkPort();
  console.log('Migrating the shards');
  await migrateShards(defaultStateDirectory);
  console.log('Loading the data set');
  await loadDataSet(defaultStateDirectory, console.log);
  await startWorker({ state: defaultStateDirectory, port, watch: true });
  console.log(`Ready on http://localhost:${port} (Ctrl+C stops it)`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

/** Finds out before anything is touched: two runs cannot share the same database files. */
async function checkPort(): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once('error', () => {
      reject(new Error(`Port ${port} is in use. Is the example running already? If not: PORT=8788 npm start`));
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}
