/**
 * What finding a shard costs in a large cluster: microseconds for a key, and memory of an isolate that knows a map of 1,000
 * shards and 100,000 placement hints. Run by `npm run bench`, or alone:
 *
 *     npm run bench:routing -- [--json]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';
import { median } from './report.ts';

const AIM_MICROSECONDS = 5;
const AIM_MEGABYTES = 10;
const ROUNDS = 30;
const OPERATIONS = 20_000;

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });

if (!globalThis.gc) {
  // Memory can only be told after a collection.
  const args = ['--expose-gc', fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} else {
  const code = await bundle('routing-subject.ts', false);
  const subject = (await import(
    `data:text/javascript,${encodeURIComponent(code)}`
  )) as typeof import('./routing-subject.ts');
  const keys = Array.from({ length: OPERATIONS }, (_, i) => [subject.keyOf(i * 5), `nobody-${i}`] as const).flat();
  const before = heap();
  const isolate = subject.openIsolate();
  const megabytes = (heap() - before) / 2 ** 20;
  const spent: number[] = [];
  for (let round = 0; round < ROUNDS + 5; round++) {
    const started = performance.now();
    for (const key of keys) isolate.route(key);
    if (round >= 5) spent.push(((performance.now() - started) / keys.length) * 1000);
  }
  const microseconds = median(spent);
  console.log(
    options.json
      ? JSON.stringify({ microseconds, megabytes, hints: isolate.state.hints.size })
      : [
          `Routing with a map of ${subject.SHARDS} shards and ${isolate.state.hints.size} placement hints`,
          `  ${microseconds.toFixed(2)} µs a key, its guard included (aim ${AIM_MICROSECONDS})`,
          `  ${megabytes.toFixed(1)} MB of memory (aim ${AIM_MEGABYTES})`,
        ].join('\n'),
  );
}

function heap(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
