import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { migrateShards } from '../../src';
import { pause } from '../../src/execution/retry';
import { SchemaHold } from '../../src/execution/schema-hold';
import { stores } from '../catalog/stores';
import { failureOf } from '../placement/fixture';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { bundleOf, FILES, open } from './fixture';

const EXTRA = sql`create table extra (id text primary key)`;
const EXTRAS = "select name from sqlite_master where name = 'extra'";

it.each(PLACES)('a schema change through a router waits for a migration, the catalog in the %s', async (place) => {
  await resetDatabases();
  const fleet = new Fleet(place);
  const db = open(fleet.isolate());
  await migrateShards(db, bundleOf(FILES.slice(0, 2)));
  const order: string[] = [];
  let waiting: Promise<unknown> | undefined;
  await migrateShards(db, bundleOf(), {
    onPlan: async () => {
      const impatient = open(fleet.isolate(), { moveTimeout: 50 });
      const refused = await failureOf(impatient.run(EXTRA).then());
      expect(refused.cause ?? refused).toMatchObject({
        code: 'MOVE_IN_PROGRESS',
        message: expect.stringMatching(/Another one is at work: migration of /),
      });
      waiting = open(fleet.isolate())
        .run(EXTRA)
        .then(() => order.push('extra'));
      await pause(300);
      expect(await rowsEverywhere(EXTRAS, shards(3))).toEqual([]);
    },
    onProgress: ({ shard }) => order.push(shard),
  });
  await waiting;
  expect(order.at(-1)).toBe('extra');
  expect(order).toHaveLength(4);
  expect(await rowsEverywhere(EXTRAS, shards(3))).toHaveLength(3);
});

it.each(stores)('nobody else gets in while one waits for longer than a hold lasts: %s', async (_, store) => {
  const catalog = (await store()).client();
  await catalog.open({ shards: [{ name: 'a' }], keyspaces: [{ name: 'default', strategy: 'hash' }] });
  const others: (string | null)[] = [];
  const settings = { what: 'migration', patienceMs: 0, holdSeconds: 1, renewAfterMs: 200 };
  await SchemaHold.while(catalog, settings, async (hold) => {
    for (let i = 0; i < 6; i++) {
      await pause(500);
      others.push((await catalog.holdAlone('other', 60)).heldBy);
    }
    await hold.renew();
  });
  expect(new Set(others)).toEqual(new Set([expect.stringMatching(/^migration of /)]));
  expect(await catalog.holdAlone('other', 60)).toEqual({ moves: [], heldBy: null });
});

it.each(stores)('who was held up for too long and has lost it changes nothing: %s', async (_, store) => {
  const catalog = (await store()).client();
  await catalog.open({ shards: [{ name: 'a' }], keyspaces: [{ name: 'default', strategy: 'hash' }] });
  const settings = { what: 'migration', patienceMs: 0, holdSeconds: -1, renewAfterMs: 100 };
  const run = SchemaHold.while(catalog, settings, async (hold) => {
    await catalog.holdAlone('other', 60);
    await pause(300);
    await hold.renew();
  });
  expect(await failureOf(run)).toMatchObject({ message: expect.stringContaining('Another one is at work: other.') });
});
