import { beforeEach, describe, expect, it } from 'vitest';
import { MigrationRefusedError, migrateShards } from '../../src';
import { failureOf } from '../placement/fixture';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { ACCIDENTS, type Accident, Mortal } from '../support/mortal';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { FILES as ALL, bundleOf, type Files, open } from './fixture';

/** The database itself would let the last two be applied twice. */
const FILES: Files = [...ALL.slice(0, 3), ['0003_again', 'UPDATE `users` SET `visits` = `visits` + 10;']];

const HASHES = 'select hash from __drizzle_migrations order by created_at';

/** Two files are applied, two are pending; a row on each shard counts how often. */
async function begun(fleet: Fleet): Promise<void> {
  await resetDatabases();
  const db = open(fleet.isolate());
  await migrateShards(db, bundleOf(FILES.slice(0, 2)));
  for (const shard of Object.values(shards(3))) await shard.prepare("insert into users (id) values ('a')").run();
}

async function expectOnce(): Promise<void> {
  expect((await rowsEverywhere('select visits from users', shards(3))).map(({ visits }) => visits)).toEqual([
    11, 11, 11,
  ]);
  const hashes = await rowsEverywhere(HASHES, shards(3));
  expect(hashes).toHaveLength(3 * FILES.length);
  expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(FILES.length);
}

/** What a dead run has held is free when its time is over. */
const expire = (fleet: Fleet) => fleet.catalog('update _shard_catalog_holds set until = unixepoch() - 1');

describe.each(PLACES)('a run that stops, the catalog in the %s', (place) => {
  it.each(ACCIDENTS)('%s, at each of its calls', async (accident: Accident) => {
    let calls = Number.POSITIVE_INFINITY;
    for (let at = 0; at < calls; at++) {
      const fleet = new Fleet(place);
      await begun(fleet);
      const mortal = new Mortal(fleet.isolate().config);
      const doomed = open(mortal);
      // What follows first contact.
      await doomed.$cluster.shards();
      mortal.dooms(at, accident);
      const run = migrateShards(doomed, bundleOf(FILES), { concurrency: 1 }).then(
        () => 'done',
        () => 'failed',
      );
      const ended = await Promise.race([run, mortal.stopped.then(() => 'stopped')]);
      if (accident === 'die before' || accident === 'die after') await run;
      calls = Math.min(calls, ended === 'done' && mortal.calls.length <= at ? at : Number.POSITIVE_INFINITY);
      // A lost answer is asked for again.
      if (accident === 'lose answer') expect(ended).toBe('done');
      await expire(fleet);
      const { shards: report } = await migrateShards(open(fleet.isolate()), bundleOf(FILES));
      expect(report.every(({ pending }) => pending.length === 0)).toBe(true);
      await expectOnce();
      mortal.wake();
      await run;
      await expectOnce();
    }
    expect(calls).toBeGreaterThan(6);
  });
});

describe('two at once', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    fleet = new Fleet('coordinator');
    await begun(fleet);
  });

  it('one waits, and finds nothing left to do', async () => {
    const reports = await Promise.all(
      [1, 2, 3].map(() => migrateShards(open(fleet.isolate()), bundleOf(FILES), { concurrency: 1 })),
    );
    const states = reports.map((report) => new Set(report.shards.map(({ state }) => state)));
    expect(states.filter((one) => one.has('done'))).toEqual([new Set(['done'])]);
    expect(states.filter((one) => one.has('current'))).toHaveLength(2);
    await expectOnce();
    expect(await fleet.catalog('select * from _shard_catalog_holds')).toEqual([]);
  });

  it('one that waits for too long says who is at work; moves wait as well, and are possible after', async () => {
    const sleeper = new Mortal(fleet.isolate().config);
    const slow = open(sleeper);
    await slow.$cluster.shards();
    sleeper.dooms('UPDATE `users`', 'stall before');
    const run = migrateShards(slow, bundleOf(FILES));
    await Promise.race([sleeper.stopped, run]);

    const other = open(fleet.isolate(), { moveTimeout: 100 });
    const error = await failureOf(migrateShards(other, bundleOf(FILES)));
    expect(error).toBeInstanceOf(MigrationRefusedError);
    expect(error.message).toMatch(/^Another one is at work: migration of \d{4}-.* \(.*\)\./);
    const refused = await failureOf(other.$cluster.moveSlots({ lo: 0, hi: 10 }, 's1'));
    expect(refused).toMatchObject({
      code: 'MOVE_IN_PROGRESS',
      message: expect.stringContaining('held off by: migration of'),
    });

    sleeper.wake();
    await run;
    await expectOnce();
    await other.$cluster.moveSlots({ lo: 0, hi: 10 }, 's1');
  });

  it('a move that is under way is waited for', async () => {
    await fleet.catalog(`insert into _shard_catalog_moves (request, job, kind, keyspace, lo, hi, "from", "to", weight, started)
      values ('r', 0, 'slots', 'default', 0, 1, 's0', 's1', 1, 0)`);
    const db = open(fleet.isolate(), { moveTimeout: 100 });
    expect(await failureOf(migrateShards(db, bundleOf(FILES)))).toMatchObject({ code: 'MOVE_IN_PROGRESS' });
    await fleet.catalog(`update _shard_catalog_moves set state = 'aborted'`);
    await migrateShards(db, bundleOf(FILES));
    await expectOnce();
  });
});
