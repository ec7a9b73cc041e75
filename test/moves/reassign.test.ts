import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { keysOf, migrated, open, posts, tickets, users } from '../placement/fixture';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';

describe.each(PLACES)('moving a key, the catalog in the %s', (place) => {
  beforeEach(() => migrated());

  it.each([
    ['hash', 'u3'],
    ['round-robin', 'u3'],
    ['hash', ''],
  ] as const)('takes all rows of the key along, strategy %s, key %j', async (strategy, key) => {
    const fleet = new Fleet(place);
    const db = open(fleet.isolate(), { strategy });
    const other = open(fleet.isolate(), { strategy });
    const keys = [...keysOf('u', 12), ''];
    for (const id of keys) {
      await db.insert(users).values({ id, name: id });
      await db.insert(posts).values([
        { userId: id, body: `${id} one` },
        { userId: id, body: null },
      ]);
    }
    await other.select().from(users);
    const before = await db.select().from(posts).orderBy(posts.id);
    for (const target of ['s1', 's2', 's0', 's0'] as const) {
      const isThere = (await rowsEverywhere(`select id from users where id = '${key}'`))[0]?.shard === target;
      const { rows, moves } = await db.$cluster.reassign(key, target);
      expect([rows, moves]).toEqual(isThere ? [0, 0] : [3, 1]);
      const found = await rowsEverywhere<{ id: string }>(`select id from users where id = '${key}'`);
      expect(found).toEqual([{ id: key, shard: target }]);
      expect((await rowsEverywhere(`select id from posts where user_id = '${key}'`)).map((row) => row.shard)).toEqual([
        target,
        target,
      ]);
      for (const router of [db, other, open(fleet.isolate(), { strategy })]) {
        expect(await router.select().from(posts).orderBy(posts.id)).toEqual(before);
        expect(await router.select({ id: users.id }).from(users).where(eq(users.id, key))).toEqual([{ id: key }]);
        await router.update(users).set({ name: target }).where(eq(users.id, key));
      }
    }
  });

  it('leaves the rows of a number where they are when a text that looks like it moves', async () => {
    const fleet = new Fleet(place);
    const db = open(fleet.isolate());
    const texts = ['01', '1.0', ' 1', '+1', '1e0', '1'];
    await db.insert(users).values(texts.map((id) => ({ id, name: id })));
    await db.insert(tickets).values([1, 2, 10].map((id) => ({ id, title: `ticket ${id}` })));
    const whereIs = async (sql: string) => (await rowsEverywhere(sql)).map(({ shard }) => shard);
    for (const [i, text] of texts.slice(0, -1).entries()) {
      const before = await whereIs('select id from tickets where id = 1');
      const target = `s${i % 3}`;
      await db.$cluster.reassign(text, target);
      expect(await whereIs(`select id from users where id = '${text}'`)).toEqual([target]);
      expect(await whereIs('select id from tickets where id = 1')).toEqual(before);
    }
    // The same key, as a number and as a text: its rows of both tables move.
    for (const target of ['s0', 's1', 's2']) {
      await db.$cluster.reassign(1, target);
      expect(await whereIs('select id from tickets where id = 1')).toEqual([target]);
      expect(await whereIs("select id from users where id = '1'")).toEqual([target]);
    }
    for (const target of ['s1', 's2', 's0']) {
      await db.$cluster.moveSlots({ lo: 0, hi: 8000 }, target);
      await db.$cluster.moveSlots({ lo: 8001, hi: 16383 }, target === 's0' ? 's1' : 's0');
      for (const id of [1, 2, 10]) expect(await db.$count(tickets, eq(tickets.id, id))).toBe(1);
      for (const id of texts) expect(await db.$count(users, eq(users.id, id))).toBe(1);
    }
    expect((await db.$cluster.verify()).findings).toEqual([]);
  });

  it('moves slots, and their keys, there and back', async () => {
    const fleet = new Fleet(place);
    const db = open(fleet.isolate());
    // The empty text is a key as well; its slot is 7429.
    const keys = [...keysOf('u', 60), ''];
    await db.insert(users).values(keys.map((id) => ({ id, name: id })));
    await db.insert(posts).values(keys.map((userId) => ({ userId, body: userId })));
    await db.$cluster.reassign('u1', 's2');
    const before = [await db.select().from(users).orderBy(users.id), await db.select().from(posts).orderBy(posts.id)];
    const other = open(fleet.isolate());
    await other.select().from(users);
    for (const target of ['s1', 's2', 's0', 's1'] as const) {
      const { job } = await db.$cluster.moveSlots({ lo: 100, hi: 9000 }, target);
      expect(job?.rows).toBeGreaterThan(0);
      for (const router of [db, other, open(fleet.isolate())]) {
        expect(await router.select().from(users).orderBy(users.id)).toEqual(before[0]);
        expect(await router.select().from(posts).orderBy(posts.id)).toEqual(before[1]);
        for (const id of keys)
          expect(await router.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: id }]);
      }
    }
    const share = Object.fromEntries((await db.$cluster.shards()).map(({ name, slotShare }) => [name, slotShare]));
    expect(share.s1).toBeGreaterThan(8900 / 16384);
  });
});
