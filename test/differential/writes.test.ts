import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plain as plainD1 } from '../support/shards';
import { type Contents, contentsOf, restore, shardContents } from './contents';
import { sampleDataset } from './data';
import { cases, PATH, SEED, SHARD_COUNTS, TIMEOUT } from './settings';
import { load, openSides, type Sides } from './sides';
import { steps } from './writes/arbitrary';
import type { Step } from './writes/recipe';
import { describeStep, sameContents, stepOnBoth, type Tally } from './writes/run';

describe.each(SHARD_COUNTS)('writes on %i shards', (count) => {
  it('leave the rows of one D1', { timeout: TIMEOUT }, async () => {
    const seed = SEED * 8 + count;
    const sides = await openSides(count);
    await load(sides, sampleDataset(seed, 'full'));
    await sameContents(sides, 'after the rows were inserted');
    const before = await snapshot(sides);
    const tally: Tally = { done: 0, failed: 0, partial: 0, refused: {} };
    const path = PATH === undefined ? {} : { path: PATH };
    await fc.assert(
      fc.asyncProperty(steps, (sequence) => agree(sides, before, sequence, tally)),
      { seed, numRuns: cases(80), ...path },
    );
    console.log(`${count} shards, writes: ${JSON.stringify(tally)}`);
    if (PATH !== undefined) return;
    const refused = Object.values(tally.refused).reduce((sum, n) => sum + n, 0);
    expect(refused).toBeLessThanOrEqual((tally.done + tally.failed) * MAX_REFUSED);
  });
});

/** The generator seldom draws what only one database can do: more refusals mean that the package refuses more. */
const MAX_REFUSED = 0.1;

/** What every database held, to begin each sequence with the same rows. */
type Snapshot = readonly (readonly [D1Database, Contents])[];

async function snapshot(sides: Sides): Promise<Snapshot> {
  const each = await shardContents(sides.shards);
  const shards = Object.entries(sides.shards).map(([name, database]) => [database, each[name] ?? {}] as const);
  return [[plainD1, await contentsOf(plainD1)], ...shards];
}

async function agree(sides: Sides, before: Snapshot, sequence: readonly Step[], tally: Tally): Promise<void> {
  await Promise.all(before.map(([database, contents]) => restore(database, contents)));
  for (const [i, step] of sequence.entries()) {
    const description = await describeStep(sides, step);
    try {
      if (!(await stepOnBoth(sides, step, tally))) return;
    } catch (error) {
      throw new Error(`Step ${i + 1} of ${sequence.length}:\n${description}\n${String(error)}`);
    }
  }
}
