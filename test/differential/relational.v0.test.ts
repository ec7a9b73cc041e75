import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers, type ReadTally } from './check';
import { sampleDataset } from './data';
import { relationalQuery } from './relational/arbitrary';
import type { RelationalQuery } from './relational/recipe';
import * as relations from './relational/relations.v0';
import { relationalOn } from './relational/run';
import { cases, PATH, SEED, SHARD_COUNTS, TIMEOUT } from './settings';
import { load, openSides, type Sides } from './sides';

describe.each(SHARD_COUNTS)('relational queries on %i shards', (count) => {
  it('give the rows of one D1, and the rows within them', { timeout: TIMEOUT }, async () => {
    const seed = SEED * 8 + count;
    const sides = await openSides(count, relations);
    await load(sides, sampleDataset(seed, 'full'));
    const tally: ReadTally = { answered: 0, withRows: 0 };
    const path = PATH === undefined ? {} : { path: PATH };
    await fc.assert(
      fc.asyncProperty(relationalQuery, (query) => agree(sides, query, tally)),
      { seed, numRuns: cases(150), ...path },
    );
    console.log(`${count} shards, relational: ${JSON.stringify(tally)}, statements ${JSON.stringify(sides.kinds)}`);
    if (PATH !== undefined) return;
    expect(tally.withRows).toBeGreaterThan(tally.answered / 2);
  });
});

async function agree(sides: Sides, query: RelationalQuery, tally: ReadTally): Promise<void> {
  await compareAnswers(sides, relationalOn(sides.plain, query), relationalOn(sides.sharded, query), tally);
}
