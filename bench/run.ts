/**
 * `shardedDrizzle` over three local D1 databases against plain Drizzle over one, in workerd.
 *
 *     npm run bench -- [--json] [--rounds=40] [--operations=32] [--case=insert] [--same]
 *
 * The clock inside workerd stands still between I/O and has steps of a millisecond, so each round of operations is one
 * request, timed from outside; what an empty request takes is subtracted. Both sides run in every round, in random order.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { bundle } from './bundle.ts';
import { cases } from './cases.ts';
import { median, quantile, shuffled, table } from './report.ts';
import type { Round, Side } from './worker.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '40' },
    operations: { type: 'string', default: '32' },
    case: { type: 'string', default: '' },
    same: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const operations = Number(options.operations);
/** Rounds before the measured ones, for the JIT compiler and Drizzle's and our own caches. */
const WARM_UP = 3;
const CONCURRENCY = [1, 16];

interface Result {
  readonly case: string;
  readonly concurrency: number;
  /** Milliseconds from asking to the answer, per operation of one lane: median over the rounds. */
  readonly plain: number;
  readonly sharded: number;
  /** `sharded / plain` of the same round: median and the middle half of the rounds. */
  readonly ratio: number;
  readonly ratioQuartiles: readonly [number, number];
  readonly scatter: boolean;
}

const worker = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: await bundle('worker.ts', options.same),
    compatibilityDate: '2026-11-01',
    compatibilityFlags: ['nodejs_compat'],
    d1Databases: ['PLAIN', 'S0', 'S1', 'S2'],
  }),
);
try {
  await post('/seed');
  const results = await measure();
  console.log(options.json ? JSON.stringify({ rounds, operations, results }, null, 2) : print(results));
} finally {
  await worker.dispose();
}
// A matter of our own CPU and memory, so it runs without workerd.
if (!options.same && !options.case) {
  const args = [join(import.meta.dirname, 'routing.ts'), ...(options.json ? ['--json'] : [])];
  spawnSync(process.execPath, args, { stdio: 'inherit' });
}

async function measure(): Promise<Result[]> {
  const plans = cases
    .filter(({ name }) => name.includes(options.case))
    .flatMap((benchmark) =>
      CONCURRENCY.map((concurrency) => ({ benchmark, concurrency, plain: [] as number[], sharded: [] as number[] })),
    );
  for (let round = 0; round < WARM_UP + rounds; round++) {
    for (const plan of shuffled(plans)) {
      for (const side of shuffled<Side>(['plain', 'sharded'])) {
        const of = { side, case: plan.benchmark.name, concurrency: plan.concurrency, round };
        const empty = await time({ ...of, operations: 0 });
        const spent = (await time({ ...of, operations })) - empty;
        if (round >= WARM_UP) plan[side].push((spent / operations) * plan.concurrency);
        await post('/clean');
      }
    }
  }
  return plans.map(({ benchmark, concurrency, plain, sharded }) => {
    const ratios = sharded.map((value, index) => value / (plain[index] ?? Number.NaN));
    return {
      case: benchmark.name,
      concurrency,
      plain: median(plain),
      sharded: median(sharded),
      ratio: median(ratios),
      ratioQuartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
      scatter: benchmark.scatter ?? false,
    };
  });
}

async function time(round: Round): Promise<number> {
  const start = performance.now();
  await post('/round', round);
  return performance.now() - start;
}

async function post(path: string, body?: Round): Promise<void> {
  const response = await worker.dispatchFetch(`http://bench${path}`, {
    method: 'POST',
    body: body ? JSON.stringify(body) : null,
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(body ? `${body.case}, ${body.side}: ${answer}` : answer);
}

function print(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.case,
    String(result.concurrency),
    result.plain.toFixed(3),
    result.sharded.toFixed(3),
    `${result.ratio.toFixed(2)}x`,
    result.ratioQuartiles.map((ratio) => ratio.toFixed(2)).join(' - '),
    result.scatter ? 'asks all shards' : '',
  ]);
  const title = options.same
    ? 'Plain Drizzle against itself: the noise of this measurement.'
    : 'One D1 database against three shards.';
  return [
    `${title} Milliseconds an operation takes; medians of ${rounds} rounds of ${operations} operations.`,
    '',
    table(['case', 'at once', 'plain', 'sharded', 'ratio', 'middle half', ''], rows),
  ].join('\n');
}
