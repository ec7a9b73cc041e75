/**
 * Fixed, so that continuous integration tries the same cases every time. `npm run test:nightly` tries others, over 10,000; to
 * look for some, or to try a failure again:
 *
 *     VITE_DIFF_SEED=7 VITE_DIFF_FACTOR=10 npm test -- test/differential
 *     VITE_DIFF_SEED=7 VITE_DIFF_PATH=12:0:3 npm test -- test/differential -t 'name of the failed test'
 */
const given = import.meta.env;

declare global {
  interface ImportMeta {
    /** Vite puts those variables of the environment here that begin with VITE_. */
    readonly env: Readonly<Record<string, string | undefined>>;
  }
}

/** Of the data and of the queries. */
export const SEED = Number(given.VITE_DIFF_SEED ?? 20261122);

/** How many times as many cases as in continuous integration. */
const FACTOR = Number(given.VITE_DIFF_FACTOR ?? 1);

/** The path of one failure, as fast-check prints it. */
export const PATH = given.VITE_DIFF_PATH;

export const SHARD_COUNTS = [1, 2, 5] as const;

/** Cases of one test: never fewer than one. */
export const cases = (count: number): number => Math.max(1, Math.round(count * FACTOR));

/** Shrinking a failure runs a few hundred queries more. */
export const TIMEOUT = 300_000 * Math.max(1, FACTOR);
