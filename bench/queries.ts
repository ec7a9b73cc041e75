/**
 * Reads over all of 4 shards with 1,000,000 cities and 200,000 visits, against one D1 that holds the same rows, in workerd on
 * this machine: it has no cores to show what several databases gain by working at the same time.
 *
 *     npm run bench:queries -- [--cities=1000000] [--rounds=15] [--case=relation] [--json]
 *
 * Each round asks both sides, in random order, and is timed from outside. First the answers are compared, and the rows that
 * the shards have sent are counted.
 */
import { parseArgs } from 'node:util';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { cityRows } from '../example/node/dataset.ts';
import { bundle } from './bundle.ts';
import { watchMemory } from './memory.ts';
import { median, quantile, shuffled, table } from './report.ts';

const { values: options } = parseArgs({
  options: {
    cities: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '15' },
    case: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const cityCount = Number(options.cities);
const rounds = Number(options.rounds);
const VISITORS = 4000;
const VISITS = 50;
const CHUNK = 5000;
/** Milliseconds that a round takes at least: short queries are repeated. */
const ROUND = 60;

type Side = 'plain' | 'sharded';

const worker = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: await bundle('queries-worker.ts', false),
    compatibilityDate: '2026-11-01',
    compatibilityFlags: ['nodejs_compat'],
    d1Databases: ['PLAIN', 'S0', 'S1', 'S2', 'S3'],
  }),
);

try {
  await fill();
  const names = (await post<string[]>('/names', {})).filter((name) => name.includes(options.case));
  const results = [];
  for (const name of names) {
    const { same, fetched, most } = await post<{ same: boolean; fetched: number; most: number }>('/same', { name });
    if (!same) throw new Error(`${name}: the rows are not those of one D1.`);
    if (fetched > most) throw new Error(`${name}: ${fetched} rows were fetched, more than ${most}.`);
    results.push({ name, fetched, ...(await measure(name)) });
  }
  const exported = options.case ? undefined : await exportAll();
  console.log(options.json ? JSON.stringify({ cityCount, rounds, results, exported }, null, 2) : print(results));
  if (exported && !options.json) console.log(`\n${exported}`);
} finally {
  await worker.dispose();
}

async function fill(): Promise<void> {
  await post('/tables', {});
  const city = (i: number) => cityRows[i % cityRows.length] as (typeof cityRows)[number];
  await load('cities', cityCount, (i) => [i + 1, city(i).name, city(i).countryCode, city(i).population]);
  await load('visitors', VISITORS, (i) => [`v${i}`, `${city(i * 31).name} ${i}`]);
  await load('visits', VISITORS * VISITS, (i) => [i + 1, `v${i % VISITORS}`, ((i * 7919) % cityCount) + 1, i % 6]);
  await post('/indexes', {});
}

async function load(name: string, count: number, row: (i: number) => unknown[]): Promise<void> {
  for (let from = 0; from < count; from += CHUNK) {
    const rows = Array.from({ length: Math.min(CHUNK, count - from) }, (_, i) => row(from + i));
    await post('/rows', { name, rows });
  }
}

async function exportAll(): Promise<string> {
  const memory = watchMemory();
  const began = Date.now();
  const { rows, sorted } = await post<{ rows: number; sorted: boolean }>('/stream', {});
  if (rows !== cityCount || !sorted) throw new Error(`$stream gave ${rows} rows, ${sorted ? '' : 'not '}in order.`);
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  const megabytes = memory.stop().megabytes.toFixed(0);
  return `$stream of all ${rows.toLocaleString('en')} cities by name: ${seconds} s, ${megabytes} MB more in the whole process, databases included`;
}

async function measure(name: string): Promise<{ plain: number; sharded: number; ratios: number[] }> {
  const spent: Record<Side, number[]> = { plain: [], sharded: [] };
  await time(name, 'sharded', 3);
  const times = Math.max(1, Math.min(50, Math.ceil(ROUND / (await time(name, 'plain', 3)))));
  for (let round = 0; round < rounds; round++) {
    for (const side of shuffled<Side>(['plain', 'sharded'])) spent[side].push(await time(name, side, times));
  }
  const ratios = spent.sharded.map((value, i) => value / (spent.plain[i] as number));
  return { plain: median(spent.plain), sharded: median(spent.sharded), ratios };
}

/** Milliseconds of one. */
async function time(name: string, side: Side, times: number): Promise<number> {
  const start = performance.now();
  await post('/run', { name, side, times });
  return (performance.now() - start) / times;
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const response = await worker.dispatchFetch(`http://bench${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

function print(
  results: readonly { name: string; fetched: number; plain: number; sharded: number; ratios: number[] }[],
) {
  const rows = results.map(({ name, fetched, plain, sharded, ratios }) => [
    name,
    plain.toFixed(1),
    sharded.toFixed(1),
    `${median(ratios).toFixed(2)}x`,
    `${quantile(ratios, 0.25).toFixed(2)} - ${quantile(ratios, 0.75).toFixed(2)}`,
    fetched.toLocaleString('en'),
  ]);
  const title = `${cityCount.toLocaleString('en')} cities and ${(VISITORS * VISITS).toLocaleString('en')} visits; milliseconds, median of ${rounds} rounds`;
  return `${title}\n\n${table(['', 'one D1', '4 shards', 'ratio', 'middle half', 'rows fetched'], rows)}`;
}
