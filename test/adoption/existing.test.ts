import { eq, inArray, sql } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { failureOf, keysOf, migrated, open, posts, users } from '../placement/fixture';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { shards } from '../support/shards';

const EAST = keysOf('e', 40);
const WEST = keysOf('w', 40);
const NAMES = ['s0', 's1', 's2'];
const owner = hashOwner(NAMES);

/** Rows that a database had before there was a cluster. */
async function insertOld(shard: string, keys: readonly string[], firstPost: number): Promise<void> {
  const d1 = shards(3)[shard] as D1Database;
  await d1.batch([
    d1
      .prepare("insert into users (id, name) select value, 'old ' || value from json_each(?1)")
      .bind(JSON.stringify(keys)),
    d1
      .prepare('insert into posts (id, user_id, body) select ?2 + key, value, ?3 from json_each(?1)')
      .bind(JSON.stringify(keys), firstPost, shard),
  ]);
}

const placements = async () =>
  Object.fromEntries(
    (await rowsEverywhere<{ id: string }>('select id from users')).map(({ id, shard }) => [id, shard]),
  );

describe.each(PLACES)('databases that come with rows, the catalog in the %s', (place) => {
  let fleet: Fleet;
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet(place);
    await insertOld('s0', EAST, 1);
    await insertOld('s1', WEST, 1001);
  });

  const everyKey = [...EAST, ...WEST];

  it('answer from the first query on, by key and from all, before they are scanned', async () => {
    const db = open(fleet.isolate());
    for (const id of ['e3', 'w7', 'e39']) {
      expect(await db.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: `old ${id}` }]);
      expect(await db.$count(posts, eq(posts.userId, id))).toBe(1);
    }
    expect(await db.$count(users)).toBe(80);
    const list = [...EAST, ...WEST, 'nobody'];
    expect((await db.select().from(users).where(inArray(users.id, list))).map(({ id }) => id).sort()).toEqual(
      everyKey.toSorted(),
    );
    expect(await db.select().from(users).where(eq(users.id, 'nobody'))).toEqual([]);
    expect((await db.$cluster.verify()).text).toContain('all is well');
    expect((await db.$cluster.adoption()).pending).toEqual([
      { keyspace: 'default', shard: 's0' },
      { keyspace: 'default', shard: 's1' },
    ]);
  });

  it('are written where their rows are, and new keys where they belong', async () => {
    const db = open(fleet.isolate());
    await db.update(users).set({ name: 'changed' }).where(eq(users.id, 'w5'));
    await db.insert(posts).values({ userId: 'e4', body: 'new' });
    await db.delete(users).where(eq(users.id, 'e9'));
    expect(await failureOf(db.insert(users).values({ id: 'w6', name: 'again' }))).toMatchObject({
      message: expect.stringContaining('UNIQUE constraint failed'),
    });
    const fresh = keysOf('new', 12);
    for (const id of fresh) await db.insert(users).values({ id, name: id });
    await db.insert(users).values(keysOf('many', 12).map((id) => ({ id, name: id })));
    const at = await placements();
    expect(at.w5).toBe('s1');
    for (const id of [...fresh, ...keysOf('many', 12)]) expect([id, at[id]]).toEqual([id, owner(id)]);
    expect(await rowsEverywhere("select body from posts where user_id = 'e4' order by id")).toEqual([
      { shard: 's0', body: 's0' },
      { shard: 's0', body: 'new' },
    ]);
    const other = open(fleet.isolate());
    for (const id of fresh) expect(await other.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    expect(await other.$count(users)).toBe(79 + 24);
    // What is new was looked for once.
    const begun = fleet.isolate();
    const next = open(begun);
    await next.$cluster.shards();
    begun.reset();
    await next.select().from(users).where(eq(users.id, 'new3'));
    expect(begun.calls).toMatchObject({ d1: 1, catalog: 0 });
  });

  it('cost what they cost everywhere once they are scanned, and can then be moved', async () => {
    const isolate = fleet.isolate();
    const db = open(isolate);
    await db.insert(users).values({ id: 'new', name: 'new' });
    const status = await db.$cluster.adopt();
    expect(status).toMatchObject({ kind: 'adopt', state: 'done', rows: 160 });
    expect(await db.$cluster.adoption()).toEqual({ pending: [], conflicts: [] });
    expect(await db.$cluster.adopt()).toBeUndefined();
    const begun = fleet.isolate();
    const next = open(begun);
    expect(await next.select().from(users).where(eq(users.id, 'nobody'))).toEqual([]);
    begun.reset();
    for (const id of everyKey) {
      expect(await next.select().from(users).where(eq(users.id, id))).toEqual([{ id, name: `old ${id}` }]);
    }
    // One round trip at home, and one more the first time for those that live elsewhere.
    const away = everyKey.filter((id) => owner(id) !== (id.startsWith('e') ? 's0' : 's1')).length;
    expect(begun.calls).toMatchObject({ d1: 80 + away, catalog: 0 });
    begun.reset();
    await next.insert(users).values({ id: 'newer', name: 'newer' });
    expect(begun.calls).toMatchObject({ d1: 1, catalog: 0 });
    // No record but those of keys that live elsewhere than their slot says.
    const records = await rowsEverywhere<{ key: string; at: string }>('select key, at from _shard_keys', shards(3));
    expect(records.every(({ key, at }) => at !== owner(key))).toBe(true);
    expect(records).toHaveLength(2 * away);
    expect((await next.$cluster.verify()).text).toContain('all is well');
    await next.$cluster.rebalance();
    await next.$cluster.reassign('w1', 's2');
    expect((await placements()).w1).toBe('s2');
    expect(await next.$count(users)).toBe(82);
    expect((await next.$cluster.verify()).text).toContain('all is well');
  });

  it('are not moved before that', async () => {
    const db = open(fleet.isolate());
    expect(await failureOf(db.$cluster.reassign('w1', 's2'))).toMatchObject({ code: 'MOVE_REFUSED' });
    expect(await failureOf(db.$cluster.moveSlots({ lo: 0, hi: 100 }, 's2'))).toMatchObject({ code: 'MOVE_REFUSED' });
    await db.$cluster.adopt();
    await db.$cluster.reassign('w1', 's2');
    expect(await db.$count(users)).toBe(80);
  });

  it('have no key twice: such a key is refused, and told of', async () => {
    await insertOld('s1', ['e1'], 5001);
    const db = open(fleet.isolate());
    const before = await failureOf(db.select().from(users).where(eq(users.id, 'e1')));
    expect(before).toMatchObject({ code: 'ADOPTION_CONFLICT' });
    await db.$cluster.adopt();
    const other = open(fleet.isolate());
    for (const query of [
      other.select().from(users).where(eq(users.id, 'e1')),
      other.update(users).set({ name: 'x' }).where(eq(users.id, 'e1')),
      other.insert(posts).values({ userId: 'e1', body: 'x' }),
    ]) {
      expect(await failureOf(query)).toMatchObject({
        code: 'ADOPTION_CONFLICT',
        message: expect.stringContaining('e1'),
      });
    }
    expect(await other.$cluster.adoption()).toEqual({
      pending: [],
      conflicts: [{ keyspace: 'default', key: 'e1', shards: ['s0', 's1'] }],
    });
    expect((await other.$cluster.verify()).findings).toMatchObject([{ kind: 'conflict', key: 'e1', shard: 's0, s1' }]);
    for (const id of [...EAST, ...WEST].filter((one) => one !== 'e1'))
      expect(await other.select().from(users).where(eq(users.id, id))).toHaveLength(1);
  });
});

describe('one database that comes with rows', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    await migrated();
    fleet = new Fleet('coordinator');
    await insertOld('s1', EAST, 1);
  });

  it('gets all slots, without a record, and rebalance spreads them', async () => {
    const isolate = fleet.isolate();
    const db = open(isolate);
    await db.select().from(users).where(eq(users.id, 'e1'));
    isolate.reset();
    for (const id of EAST) expect(await db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    expect(isolate.calls).toMatchObject({ d1: 40, catalog: 0 });
    expect((await db.$cluster.shards()).map(({ slotShare }) => slotShare)).toEqual([0, 1, 0]);
    expect(await rowsEverywhere('select key from _shard_keys', shards(3))).toEqual([]);
    expect(await db.$cluster.adopt()).toBeUndefined();
    await db.$cluster.rebalance();
    expect(new Set(Object.values(await placements())).size).toBe(3);
    expect(await db.$count(users, sql`name like 'old %'`)).toBe(40);
  });

  it('gets records instead if asked to', async () => {
    const db = open(fleet.isolate(), { adopt: 'records' });
    await db.$cluster.adopt();
    expect((await db.$cluster.shards()).every(({ slotShare }) => slotShare > 0.3)).toBe(true);
    for (const id of EAST) expect(await db.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    expect(new Set(Object.values(await placements()))).toEqual(new Set(['s1']));
  });

  it('can join a cluster later', async () => {
    const db = open(fleet.isolate(2));
    await db.insert(users).values(keysOf('k', 10).map((id) => ({ id, name: id })));
    await insertOld('s2', WEST, 2001);
    const grown = open(fleet.isolate(3));
    expect(await grown.select().from(users).where(eq(users.id, 'w3'))).toHaveLength(1);
    // One that has the old list still: what it does not know it refuses, or is told.
    expect(await failureOf(db.select().from(users).where(eq(users.id, 'w4')))).toMatchObject({ code: 'MISSING_SHARD' });
    expect(await grown.$count(users)).toBe(90);
    await grown.$cluster.adopt();
    for (const id of WEST) expect(await grown.select().from(users).where(eq(users.id, id))).toHaveLength(1);
    expect((await grown.$cluster.verify()).text).toContain('all is well');
  });

  it('refuses adopt: own where another one has rows as well', async () => {
    await insertOld('s0', WEST, 2001);
    expect(await failureOf(open(fleet.isolate(), { adopt: 'own' }).select().from(users))).toMatchObject({
      code: 'ADOPTION_CONFLICT',
      message: expect.stringContaining('s0, s1'),
    });
  });
});
