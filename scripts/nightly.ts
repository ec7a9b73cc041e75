/**
 * Random reads, relational queries and writes, each compared with one D1: over 10,000, with a seed that nobody has chosen.
 *
 *     npm run test:nightly -- [--seed=7] [--factor=4]
 *
 * The seed is printed; a failure names its path as well. `test/differential/settings.ts` tells how to run one again.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: String(randomInt(1, 2 ** 28)) },
    factor: { type: 'string', default: '4' },
  },
});

console.log(`VITE_DIFF_SEED=${options.seed} VITE_DIFF_FACTOR=${options.factor}`);
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'workerd', 'test/differential'], {
  stdio: 'inherit',
  env: { ...process.env, VITE_DIFF_SEED: options.seed, VITE_DIFF_FACTOR: options.factor },
});
process.exitCode = status ?? 1;
