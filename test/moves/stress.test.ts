import { beforeEach, expect, it } from 'vitest';
import { migrated } from '../placement/fixture';
import { rowsEverywhere } from '../support/isolates';
import { shards } from '../support/shards';
import { Stress, type StressOptions } from './stress';

/**
 * Choices are made by a seed, so that a failure can be looked for again: `VITE_STRESS_SEED=7 VITE_STRESS_ROUNDS=5 npx vitest run
 * test/moves/stress.test.ts`. What is at work at the same moment is never quite the same, so it may take some rounds.
 * `npm run stress` is longer, denser, and begins with another seed each time.
 */
const IS_LONG = import.meta.env.MODE === 'stress';
const SEED = Number(import.meta.env.VITE_STRESS_SEED ?? (IS_LONG ? Date.now() % 1e6 : 20261122));
const ROUNDS = Number(import.meta.env.VITE_STRESS_ROUNDS ?? (IS_LONG ? 5 : 1));
const MOVES = Number(import.meta.env.VITE_STRESS_MOVES ?? (IS_LONG ? 400 : 150));

const OPTIONS: Omit<StressOptions, 'seed' | 'strategy' | 'place'> = {
  moves: MOVES,
  writers: 12,
  readers: 8,
  movers: 3,
  steady: 16,
  passing: 8,
  newcomers: { share: 0.1, statements: 30, kv: true },
  // How long clients and movers wait for each other: longer than on the busiest machine, shorter than for ever.
  moveTimeout: 60_000,
  mix: {
    writes: { append: 60, 'append with post': 20, 'come or go': 20, 'append to all': 1 },
    reads: {
      row: 40,
      'row and posts': 20,
      'some rows': 10,
      count: 5,
      'all rows': 5,
      'all rows, gathered': 2,
      'posts of all': 2,
    },
    // Moves and clients share one thread: clients that never rest would leave it no time to move much.
    pauseMs: IS_LONG ? 60 : 300,
  },
};

const RUNS = Array.from({ length: ROUNDS }, (_, round) => SEED + round).flatMap((seed) => [
  { seed, strategy: 'hash' as const, place: 'coordinator' as const },
  { seed, strategy: 'round-robin' as const, place: 'coordinator' as const },
  ...(IS_LONG ? [{ seed, strategy: 'round-robin' as const, place: 'first D1' as const }] : []),
]);

beforeEach(() => migrated());

it.each(RUNS)(
  'nothing is lost or goes back while rows move: $strategy, $place, seed $seed',
  {
    timeout: 900_000,
  },
  async (run) => {
    const stress = new Stress({ ...OPTIONS, ...run });
    const { violations, errors, counts } = await stress.run();
    if (IS_LONG) console.info(JSON.stringify({ ...run, ...counts }));
    const where = `With seed ${run.seed}, strategy ${run.strategy}, the catalog in the ${run.place}`;
    // One fault may be seen by everybody.
    expect({ where, errors, violations: violations.slice(0, 20) }).toEqual({ where, errors: [], violations: [] });
    expect(counts).toMatchObject({ 'moves of keys': expect.any(Number), 'moves of slots': expect.any(Number) });
    await expectNothingLeft(stress, where);
  },
);

/** Each row once, by the databases themselves, and no move or job half done. */
async function expectNothingLeft({ fleet }: Stress, where: string): Promise<void> {
  const stuck = "side in ('in', 'out') and phase not in ('closed', 'aborted', 'released')";
  const ids = (await rowsEverywhere<{ id: string }>('select id from users', shards(4))).map(({ id }) => id);
  const left = {
    where,
    twice: ids.filter((id, i) => ids.indexOf(id) !== i),
    moves: await fleet.catalog("select id from _shard_catalog_moves where state = 'open'"),
    jobs: await fleet.catalog("select id from _shard_catalog_jobs where state = 'running'"),
    stuck: await rowsEverywhere(`select id, side, phase from _shard_moves where ${stuck}`, shards(4)),
  };
  expect(left).toEqual({ where, twice: [], moves: [], jobs: [], stuck: [] });
}
