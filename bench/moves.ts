/**
 * What moves cost whoever uses the rows meanwhile, in workerd: how long writes wait while 5,000 rows are frozen, and the
 * latency of keyed reads while a fourth shard gets its share of the 135,000 cities.
 *
 *     npm run bench:moves -- [--rate=500] [--seconds=10]
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { cityRows } from '../example/node/dataset.ts';
import { bundle } from './bundle.ts';
import { median, quantile, table } from './report.ts';

const { values: options } = parseArgs({
  options: { rate: { type: 'string', default: '500' }, seconds: { type: 'string', default: '10' } },
});
const rate = Number(options.rate);
const seconds = Number(options.seconds);
const ROWS_PER_CALL = 5000;

interface Load {
  readonly latencies: Readonly<Record<'read' | 'write' | 'scatter', readonly number[]>>;
  readonly errors: readonly string[];
}
interface JobStatus {
  readonly state: string;
  readonly moves: number;
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly error?: string;
}

const worker = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: await bundle('moves-worker.ts', false),
    compatibilityDate: '2026-11-01',
    compatibilityFlags: ['nodejs_compat'],
    d1Databases: ['S0', 'S1', 'S2', 'S3'],
    durableObjects: { COORDINATOR: { className: 'ShardCoordinator', useSQLite: true } },
  }),
);

try {
  await post('/tables', { ddl: await ddlOfExample() });
  await measureFrozen();
  await measureRebalance();
} finally {
  await worker.dispose();
}

async function measureFrozen(): Promise<void> {
  for (let from = 0; from < 5000; from += 1000) await post('/lines', { owner: 'big', from, count: 1000 });
  const key: number[] = [];
  for (let round = 0; round < 20; round++)
    key.push(...(await post<number[]>('/reassign', { key: 'big', to: `s${round % 3}` })));
  await loadCities();
  const slots: number[] = [];
  for (const to of ['s1', 's2', 's0']) slots.push(...(await post<number[]>('/slots', { lo: 0, hi: 4000, to })));
  console.log('Milliseconds for which writers wait while 5,000 rows are moved\n');
  console.log(
    table(
      ['', 'moves', 'median', 'p90', 'most'],
      Object.entries({ 'one key, 5,000 rows of 190 bytes': key, 'slots of at most 5,000 cities': slots }).map(
        ([name, values]) => [
          name,
          String(values.length),
          median(values).toFixed(0),
          quantile(values, 0.9).toFixed(0),
          Math.max(...values).toFixed(0),
        ],
      ),
    ),
  );
}

async function measureRebalance(): Promise<void> {
  const ids = cityRows.filter((_, i) => i % 11 === 0).map(({ id }) => id);
  await post('/load', { ids, seconds: 2, rate });
  const idle = await post<Load>('/load', { ids, seconds, rate });
  const { plan } = await post<{ plan: { text: string; rows: number } }>('/rebalance', {});
  console.log(`\n${plan.text}\n`);
  const busy: Load[] = [];
  let job: JobStatus;
  do {
    busy.push(await post<Load>('/load', { ids, seconds: 2, rate, four: true }));
    job = await post<JobStatus>('/jobs', {});
  } while (job.state === 'running');
  const moving = {
    read: busy.flatMap(({ latencies }) => latencies.read),
    write: busy.flatMap(({ latencies }) => latencies.write),
    scatter: busy.flatMap(({ latencies }) => latencies.scatter),
  };
  console.log(`Milliseconds at ${rate} statements a second, idle and while ${job.rows} rows move (${job.state})\n`);
  const row = (name: string, values: readonly number[]) => [
    name,
    String(values.length),
    ...[0.5, 0.9, 0.99, 1].map((share) => quantile(values, share).toFixed(0)),
  ];
  console.log(
    table(
      ['', 'statements', 'median', 'p90', 'p99', 'most'],
      (['read', 'write', 'scatter'] as const).flatMap((kind) => [
        row(`${kind}, idle`, idle.latencies[kind]),
        row(`${kind}, moving`, moving[kind]),
      ]),
    ),
  );
  const errors = busy.flatMap((load) => load.errors);
  console.log(`\n${errors.length} errors; ${job.moves} moves, ${job.rowsPerSecond} rows a second.`);
  for (const error of errors.slice(0, 3)) console.log(error.slice(0, 300));
  const { text } = await post<{ text: string }>('/verify', {});
  console.log(text.split('\n').slice(-3).join('\n'));
}

async function loadCities(): Promise<void> {
  for (let from = 0; from < cityRows.length; from += ROWS_PER_CALL) {
    await post('/cities', { rows: cityRows.slice(from, from + ROWS_PER_CALL) });
  }
}

/** What the migrations of the example say of the cities. */
async function ddlOfExample(): Promise<string[]> {
  const folder = join(import.meta.dirname, '../drizzle');
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
  const statements = texts.flatMap((text) => text.split('--> statement-breakpoint').map((one) => one.trim()));
  return statements.filter((one) => one.includes('cities'));
}

async function post<T>(path: string, body: unknown): Promise<T> {
  const response = await worker.dispatchFetch(`http://bench${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
  return (await response.json()) as T;
}
