/**
 * Microseconds of CPU that sharding adds to a warm statement: Drizzle over shards minus Drizzle over one database, with
 * databases that do nothing.
 *
 *     npm run bench:cpu -- [--json] [--rounds=40] [--operations=1000] [--same]
 */
import { parseArgs } from 'node:util';
import { bundle } from './bundle.ts';
import type { CpuCase } from './cpu-cases.ts';
import { median, quantile, shuffled, table } from './report.ts';

/** What we allow ourselves to add to a statement that one shard answers, in microseconds. */
const AIM = 25;
/** Rounds before the measured ones, for the JIT compiler and the caches of plans. */
const WARM_UP = 10;

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '40' },
    operations: { type: 'string', default: '1000' },
    same: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const operations = Number(options.operations);

const code = await bundle('cpu-cases.ts', options.same);
const { cpuCases } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { cpuCases: CpuCase[] };

const measured = cpuCases.map((benchmark) => ({ benchmark, plain: [] as number[], sharded: [] as number[] }));
for (let round = 0; round < WARM_UP + rounds; round++) {
  for (const entry of shuffled(measured)) {
    for (const side of shuffled(['plain', 'sharded'] as const)) {
      const spent = await microseconds(entry.benchmark[side], round);
      if (round >= WARM_UP) entry[side].push(spent / entry.benchmark.statements);
    }
  }
}

const results = measured.map(({ benchmark, plain, sharded }) => {
  const ours = sharded.map((value, index) => value - (plain[index] ?? Number.NaN));
  return {
    case: benchmark.name,
    plain: median(plain),
    sharded: median(sharded),
    ours: median(ours),
    oursQuartiles: [quantile(ours, 0.25), quantile(ours, 0.75)] as const,
    scatter: benchmark.scatter,
  };
});
console.log(options.json ? JSON.stringify({ rounds, operations, aim: AIM, results }, null, 2) : print());

/** Time per operation. One thread and no I/O: the clock on the wall is the CPU's. */
async function microseconds(operation: CpuCase['plain'], round: number): Promise<number> {
  const start = performance.now();
  for (let index = 0; index < operations; index++) await operation(index, `${round}-${index}`);
  return ((performance.now() - start) / operations) * 1000;
}

function print(): string {
  const rows = results.map((result) => [
    result.case,
    result.plain.toFixed(1),
    result.sharded.toFixed(1),
    result.ours.toFixed(1),
    result.oursQuartiles.map((value) => value.toFixed(1)).join(' - '),
    result.scatter ? 'asks all shards' : result.ours <= AIM ? `<= ${AIM}` : `over ${AIM}`,
  ]);
  const title = options.same
    ? 'Plain Drizzle against itself: the noise of this measurement.'
    : 'CPU time that sharding adds.';
  return [
    `${title} Microseconds a statement; medians of ${rounds} rounds of ${operations} operations.`,
    '',
    table(['case', 'plain', 'sharded', 'ours', 'middle half', 'aim'], rows),
  ].join('\n');
}
