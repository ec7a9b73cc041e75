import { env, runDurableObjectAlarm } from 'cloudflare:test';
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Database, keysOf, migrated, open, posts, users } from '../placement/fixture';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { Mortal } from '../support/mortal';
import { shards } from '../support/shards';

const KEYS = keysOf('u', 30);

describe('the alarm of the coordinator', () => {
  let fleet: Fleet;
  let db: Database;

  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('coordinator');
    db = open(fleet.isolate());
    await db.insert(users).values(KEYS.map((id) => ({ id, name: id })));
    await db.insert(posts).values(KEYS.map((userId) => ({ userId, body: userId })));
  });

  const alarm = () => {
    const namespace = env.SHARD_COORDINATOR;
    return runDurableObjectAlarm(namespace.get(namespace.idFromName(fleet.cluster)));
  };

  async function expectWhole(): Promise<void> {
    expect(
      (await rowsEverywhere<{ id: string }>('select id from users', shards(3))).map(({ id }) => id).sort(),
    ).toEqual([...KEYS].sort());
    expect(await open(fleet.isolate()).$count(posts)).toBe(KEYS.length);
    for (const id of KEYS) expect(await db.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: id }]);
  }

  it('runs jobs without any process of the user', async () => {
    const { job } = await db.$cluster.moveSlots({ lo: 0, hi: 16383 }, 's2', { background: true, rowsPerMove: 15 });
    expect(job).toMatchObject({ state: 'running', moves: 0 });
    while ((await db.$cluster.jobs())[0]?.state === 'running') await alarm();
    expect((await db.$cluster.jobs())[0]).toMatchObject({ id: job?.id, state: 'done', error: undefined });
    expect((await rowsEverywhere('select id from users', shards(3))).every(({ shard }) => shard === 's2')).toBe(true);
    await expectWhole();
  });

  it('ends what a process that died has left, and then sleeps', async () => {
    const mortal = new Mortal(fleet.isolate().config);
    const dying = open({ config: mortal.config });
    await dying.$cluster.shards();
    mortal.dooms('insert or replace into _shard_stage', 'die after');
    await expect(dying.$cluster.moveSlots({ lo: 0, hi: 9000 }, 's2')).rejects.toThrow('dead');
    expect(await db.$cluster.moves()).toMatchObject([{ state: 'open' }]);
    await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
    while ((await db.$cluster.jobs())[0]?.state === 'running') await alarm();
    expect((await db.$cluster.moves()).every(({ state }) => state === 'done')).toBe(true);
    await expectWhole();
    await alarm();
    expect(await alarm()).toBe(false);
  });

  it('scans databases that came with rows, and then sleeps', async () => {
    await migrated();
    for (const [at, shard] of (['s0', 's1'] as const).entries()) {
      await (shards(2)[shard] as D1Database)
        .prepare('insert into users select value, value from json_each(?1)')
        .bind(JSON.stringify(KEYS.filter((_, i) => i % 2 === at)))
        .run();
    }
    fleet = new Fleet('coordinator');
    db = open(fleet.isolate());
    expect(await db.$count(users)).toBe(KEYS.length);
    while ((await db.$cluster.adoption()).pending.length > 0) await alarm();
    expect(await db.$cluster.jobs()).toMatchObject([{ kind: 'adopt', state: 'done', rows: KEYS.length }]);
    for (const id of KEYS) expect(await db.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: id }]);
    await alarm();
    expect(await alarm()).toBe(false);
  });

  it('leaves a job alone that somebody is at work on, and tells what it failed with', async () => {
    const { job } = await db.$cluster.moveSlots({ lo: 0, hi: 9000 }, 's2', { background: true });
    await fleet.catalog("update _shard_catalog_jobs set driver = 'other', leased_until = (unixepoch() + 60) * 1000");
    await alarm();
    expect((await db.$cluster.jobs())[0]).toMatchObject({ state: 'running', moves: 0 });
    await (shards(3).s2 as D1Database).prepare('alter table users add column extra').run();
    await fleet.catalog('update _shard_catalog_jobs set leased_until = 0');
    while ((await db.$cluster.jobs())[0]?.state === 'running') await alarm();
    expect((await db.$cluster.jobs())[0]).toMatchObject({
      id: job?.id,
      state: 'failed',
      error: expect.stringContaining('columns of users'),
    });
    await expectWhole();
  });
});
