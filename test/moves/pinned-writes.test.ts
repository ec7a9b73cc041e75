import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { keysOf, migrated, open, posts, users } from '../placement/fixture';
import { InterceptedD1 } from '../support/intercepted-d1';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { shards } from '../support/shards';

const KEYS = keysOf('u', 30);
/** Slots of s1, of three shards. */
const RANGE = { lo: 6000, hi: 10_000 };

it.each(PLACES)(
  'a move waits for a write to all shards that has reached only some, the catalog in the %s',
  async (place) => {
    await migrated();
    const fleet = new Fleet(place);
    const db = open(fleet.isolate());
    await db.insert(users).values(KEYS.map((id) => ({ id, name: id })));
    await db.insert(posts).values(KEYS.map((userId) => ({ userId, body: 'a' })));

    const { config } = fleet.isolate();
    let reached = () => {};
    let release = () => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = new InterceptedD1(config.shards.s1 as D1Database, async (call, run) => {
      if (call.statements.some((one) => one.sql.startsWith('update "posts"'))) {
        reached();
        await isReleased;
      }
      return run();
    });
    const writer = open({ config: { ...config, shards: { ...config.shards, s1: slow } } }, { rehearseWrites: false });
    const write = writer
      .update(posts)
      .set({ body: sql`${posts.body} || '+'` })
      .execute();
    await isReached;
    const isOnTarget = "select count(*) as n from posts where body = 'a+'";
    for (let n = 0; n === 0; ) n = Number(await (shards(3).s2 as D1Database).prepare(isOnTarget).first('n'));

    let hasMoved = false;
    const move = db.$cluster.moveSlots(RANGE, 's2').then((report) => {
      hasMoved = true;
      return report;
    });
    // Time enough for a move that would not wait.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(hasMoved).toBe(false);
    release();
    expect((await write).meta.changes).toBe(KEYS.length);
    expect((await move).job?.state).toBe('done');
    const bodies = await rowsEverywhere<{ body: string }>('select user_id, body from posts', shards(3));
    expect(bodies.map(({ body }) => body)).toEqual(KEYS.map(() => 'a+'));
    expect(bodies.filter(({ shard }) => shard === 's2').length).toBeGreaterThan(KEYS.length / 3);
  },
);
