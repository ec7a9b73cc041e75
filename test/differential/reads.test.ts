import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers, type ReadTally } from './check';
import { sampleDataset } from './data';
import { query as anyQuery } from './queries/arbitrary-query';
import type { Query } from './queries/recipe';
import { queryOn } from './queries/run';
import { cases, PATH, SEED, SHARD_COUNTS, TIMEOUT } from './settings';
import { load, openSides, type Sides } from './sides';

const RUNS = { full: 650, sparse: 120 } as const;

describe.each(SHARD_COUNTS)('queries on %i shards', (count) => {
  it.each(['full', 'sparse'] as const)('give the rows of one D1: %s tables', { timeout: TIMEOUT }, async (size) => {
    const seed = SEED * 8 + count;
    const sides = await openSides(count);
    await load(sides, sampleDataset(seed, size));
    const tally: ReadTally = { answered: 0, withRows: 0 };
    const path = PATH === undefined ? {} : { path: PATH };
    await fc.assert(
      fc.asyncProperty(anyQuery, (query) => agree(sides, query, tally)),
      { seed, numRuns: cases(RUNS[size]), ...path },
    );
    console.log(`${count} shards, ${size} tables: ${JSON.stringify(tally)}, statements ${JSON.stringify(sides.kinds)}`);
    if (PATH !== undefined || size === 'sparse') return;
    // Queries that find nothing, or that are all run in one way, would show little.
    expect(tally.withRows).toBeGreaterThan(tally.answered / 2);
    const kinds = count === 1 ? ['single'] : ['single', 'scatter', 'gather'];
    for (const kind of kinds) expect(sides.kinds[kind], kind).toBeGreaterThan(tally.answered / 20);
  });
});

async function agree(sides: Sides, query: Query, tally: ReadTally): Promise<void> {
  const plain = queryOn(sides.plain, query);
  const sharded = queryOn(sides.sharded, query);
  await compareAnswers(sides, plain, sharded, tally);
}

describe('this suite', () => {
  it('finds a row that one shard has lost, and says by which query', { timeout: TIMEOUT }, async () => {
    const sides = await openSides(2);
    await load(sides, sampleDataset(SEED, 'full'));
    await sides.shards.s1?.prepare('delete from orders where id = (select max(id) from orders)').run();
    const tally: ReadTally = { answered: 0, withRows: 0 };
    const { failed, errorInstance } = await fc.check(
      fc.asyncProperty(anyQuery, (query) => agree(sides, query, tally)),
      { seed: SEED, numRuns: 500, endOnFailure: true },
    );
    expect(failed).toBe(true);
    expect(String(errorInstance)).toMatch(/select .*params: .*plan over 2 shards/s);
  });
});
