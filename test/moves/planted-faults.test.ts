import { beforeEach, describe, expect, it } from 'vitest';
import { migrated } from '../placement/fixture';
import { type Fault, planted } from './planted-faults';
import { Stress, type StressReport } from './stress';

const SEED = Number(import.meta.env.VITE_STRESS_SEED ?? 20261122);
/** What can be seen is left to chance: a fault that was not seen is looked for again with the next seed. */
const TRIES = 10;

/** What each fault does to somebody. */
const FAULTS: Record<Exclude<Fault, 'none'>, RegExp> = {
  'skips the freeze': /was acknowledged and is lost|neither came from the other/,
  'releases before landing': /no row/,
  'publishes early': /comes after .* and does not know of it/,
};

beforeEach(() => migrated());

/** Few keys and many readers, so that somebody looks when it matters. */
const stress = (fault: Fault, seed: number): Promise<StressReport> =>
  new Stress({
    seed,
    strategy: 'hash',
    place: 'coordinator',
    moves: 6,
    writers: 6,
    readers: 8,
    movers: 1,
    steady: 6,
    passing: 0,
    // Others write where the catalog says, and not where they have been before.
    newcomers: { share: 0.3, statements: 1, kv: false },
    // What a fault leaves locked is not waited for; who is right has all the time that a busy machine takes.
    moveTimeout: fault === 'none' ? 20_000 : 2000,
    mix: {
      writes: { append: 1, 'append with post': 0, 'come or go': 0, 'append to all': 0 },
      reads: {
        row: 1,
        'row and posts': 0,
        'some rows': 0,
        count: 0,
        'all rows': 0,
        'all rows, gathered': 0,
        'posts of all': 0,
      },
      pauseMs: 10,
    },
    plant: (bindings) => planted(fault, bindings),
  }).run();

describe(`a mover that is planted among the clients, from seed ${SEED}`, () => {
  it.each(Object.keys(FAULTS) as (keyof typeof FAULTS)[])(
    'is found out when it %s',
    { timeout: 120_000 },
    async (fault) => {
      for (let i = 0; i < TRIES; i++) {
        if (i > 0) await migrated();
        const { violations } = await stress(fault, SEED + i);
        if (violations.some((violation) => FAULTS[fault].test(violation))) return;
      }
      expect.fail(`${TRIES} histories of a mover that ${fault} did not show it`);
    },
  );

  it('is right when it is only slow', async () => {
    const { violations, errors } = await stress('none', SEED);
    expect({ violations, errors }).toEqual({ violations: [], errors: [] });
  });
});
