/**
 * How long it takes to scan two databases that come with rows, in workerd, what memory it takes, and what a read of a key costs
 * before and after.
 *
 *     npm run bench:adopt -- [--rows=1000000]
 */
import { parseArgs } from 'node:util';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { bundle } from './bundle.ts';
import { watchMemory } from './memory.ts';
import { table } from './report.ts';

const TABLES = 5;
const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '1000000' } } });
const rows = Number(options.rows);
const rowsPerTable = rows / TABLES;

const worker = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: await bundle('adopt-worker.ts', false),
    compatibilityDate: '2026-11-01',
    compatibilityFlags: ['nodejs_compat'],
    d1Databases: ['S0', 'S1', 'S2'],
  }),
);

try {
  await post('/fill', { rowsPerTable });
  const keys = Array.from({ length: 200 }, (_, i) => `${i % 2 ? 'east' : 'west'}-${(i * 97) % (rowsPerTable / 2)}`);
  const before = await post<{ milliseconds: number }>('/read', { keys });
  const memory = watchMemory();
  const began = Date.now();
  const job = await post<{ state: string; rows: number }>('/adopt', {});
  const seconds = (Date.now() - began) / 1000;
  const { megabytes } = memory.stop();
  await post('/read', { keys });
  const after = await post<{ milliseconds: number }>('/read', { keys });
  console.log(
    table(
      ['', ''],
      [
        [
          `${rows.toLocaleString('en')} rows in ${TABLES} tables of 2 databases: ${job.state}`,
          `${seconds.toFixed(1)} s`,
        ],
        ['rows a second', Math.round(job.rows / seconds).toLocaleString('en')],
        ['more memory of the whole workerd process, at most', `${megabytes.toFixed(0)} MB`],
        [
          'a read of a key that was not looked for before, while nothing is scanned',
          `${before.milliseconds.toFixed(2)} ms`,
        ],
        ['the same afterwards', `${after.milliseconds.toFixed(2)} ms`],
      ],
    ),
  );
} finally {
  await worker.dispose();
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const response = await worker.dispatchFetch(`http://bench${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
