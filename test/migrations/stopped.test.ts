import { beforeEach, expect, it } from 'vitest';
import { MigrationRefusedError, type MigrationReport, MigrationStoppedError, migrateShards } from '../../src';
import { failureOf } from '../placement/fixture';
import { Fleet } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { bundleOf, open } from './fixture';

beforeEach(resetDatabases);

const TAGS = bundleOf().journal.entries.map(({ tag }) => tag);

it('stops after the shards that are under way, reports the others, and lets the next run begin at once', async () => {
  const db = open(new Fleet('coordinator').isolate(7));
  const stop = new AbortController();
  const begun: string[] = [];
  const onBegin = (shard: string) => {
    begun.push(shard);
    // The first of three at once, after the canary.
    if (begun.length === 2) stop.abort();
  };
  const { signal } = stop;
  const error = await failureOf(migrateShards(db, bundleOf(), { signal, onBegin, concurrency: 3 }));
  expect(error).toBeInstanceOf(MigrationStoppedError);
  expect(error).toMatchObject({ code: 'MIGRATION_STOPPED', message: expect.stringContaining('Done: s0, s1.') });
  const { shards } = (error as MigrationStoppedError).report;
  expect(shards.map(({ state }) => state)).toEqual(['done', 'done', ...Array(5).fill('untouched')]);
  expect(shards[6]).toMatchObject({ applied: [], pending: TAGS });

  const again = await migrateShards(db, bundleOf());
  expect(again.shards.map(({ state }) => state)).toEqual(['current', 'current', ...Array(5).fill('done')]);
  // Nothing is left to be stopped.
  expect((await migrateShards(db, bundleOf(), { signal })).shards).toHaveLength(7);
});

it('begins nothing once it is stopped, and does not wait for another run', async () => {
  const db = open(new Fleet('coordinator').isolate(3), { moveTimeout: 60_000 });
  const onPlan = () => expect.unreachable();
  const signal = AbortSignal.abort();
  expect(await failureOf(migrateShards(db, bundleOf(), { signal, onPlan }))).toMatchObject({
    message: expect.stringContaining('Done: none. Untouched: s0, s1, s2.'),
  });
  let end = () => {};
  const other = new Promise<void>((resolve) => {
    end = resolve;
  });
  let run: Promise<MigrationReport> | undefined;
  await new Promise<void>((planned) => {
    const waits = () => {
      planned();
      return other;
    };
    run = migrateShards(db, bundleOf(), { onPlan: waits });
  });
  expect(await failureOf(migrateShards(db, bundleOf(), { signal }))).toBeInstanceOf(MigrationRefusedError);
  end();
  expect((await run)?.shards.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
});
