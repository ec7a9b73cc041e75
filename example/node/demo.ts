import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from './checks.ts';
import { client } from './client.ts';
import { exitWithParent } from './lifeline.ts';
import { loadDataSet } from './load.ts';
import { startWorker } from './local.ts';
import { migrateShards } from './migrate.ts';

/*
 * Runs the example from nothing in a folder of its own, asks it everything that it can be asked, and compares the
 * answers with the data set. The exit code is 1 if any of them differs.
 */
const started = performance.now();
const state = mkdtempSync(join(tmpdir(), 'sharded-drizzle-demo-'));
process.on('exit', () => rmSync(state, { recursive: true, force: true }));
exitWithParent();

let failures = 0;
try {
  console.log('Migrating the shards');
  await migrateShards(state);
  console.log('Loading the data set');
  await timed('loaded', () => loadDataSet(state, console.log));
  const worker = await startWorker({ state });
  console.log(`Asking ${worker.url.origin}`);
  const ask = client(worker.url);
  for (const { title, run } of checks) {
    try {
      const { shards, ms } = await run(ask);
      console.log(`  ✓ ${title.padEnd(64)} ${`${ms.toFixed(1)} ms`.padStart(10)}  ${shards.join(' ')}`);
    } catch (error) {
      failures++;
      console.error(`  ✗ ${title}\n${indent(error instanceof Error ? error.message : String(error))}`);
    }
  }
  await worker.stop();
} catch (error) {
  failures++;
  console.error(error);
}

const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(
  failures === 0 ? `All ${checks.length} answers are right (${seconds} s).` : `${failures} failed (${seconds} s).`,
);
process.exit(failures === 0 ? 0 : 1);

async function timed(what: string, run: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await run();
  console.log(`  ${what} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** The beginning of a difference, which can be thousands of lines long. */
function indent(text: string): string {
  return text.split('\n').slice(0, 20).join('\n').replace(/^/gm, '      ');
}
