import { eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { type QueryEvent, shardedDrizzle } from '../src';
import { countingShards } from './support/counting-d1';
import { resetDatabases } from './support/reset';
import { rowsPerShard, runEverywhere } from './support/seed';
import { MAX_SHARDS, shards } from './support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name'), age: integer('age') });
const schema = { users };
const people = Array.from({ length: 60 }, (_, i) => ({ id: `u${i}`, name: `n${i % 7}`, age: i }));

beforeEach(async () => {
  await resetDatabases();
  await runEverywhere(shards(MAX_SHARDS), ['create table users (id text primary key, name text, age integer)']);
});

const open = (count = 3) => shardedDrizzle({ schema, shards: shards(count) });

describe('the $ helpers', () => {
  it('$forKey and $shard hand out the plain database of the shard that has the row, and no other has it', async () => {
    const db = open();
    await db.insert(users).values(people);
    for (const { id } of people.slice(0, 10)) {
      const own = await db.$forKey(id);
      expect(await own.select().from(users).where(eq(users.id, id))).toHaveLength(1);
      const everywhere = await Promise.all(
        (await db.$cluster.shards()).map(({ name }) => db.$shard(name).$count(users, eq(users.id, id))),
      );
      expect(everywhere.reduce((sum, count) => sum + count, 0)).toBe(1);
    }
  });

  it('$forKey takes a number as the text of the same key', async () => {
    const db = open();
    expect((await db.$forKey(5)).$client).toBe((await db.$forKey('5')).$client);
    await expect(db.$forKey(1.5)).rejects.toMatchObject({ code: 'CONFIG' });
  });

  it('$shard names the shards that there are when it is given another', () => {
    expect(() => open().$shard('nowhere')).toThrow(/no shard nowhere.*s0, s1, s2/);
  });

  it('$cluster.shards() lists the databases in the order of the configuration, with their share', async () => {
    const listed = await open().$cluster.shards();
    expect(listed).toMatchObject(['s0', 's1', 's2'].map((name) => ({ name, state: 'active', weight: 1, bound: true })));
    for (const { slotShare } of listed) expect(slotShare).toBeCloseTo(1 / 3, 3);
  });

  it('$cluster.stats() counts the rows and keys of each shard, and knows its size and its slots', async () => {
    const countries = sqliteTable('countries', { code: text('code').primaryKey() });
    const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id').notNull() });
    await runEverywhere(shards(3), [
      'create table countries (code text primary key)',
      'create table posts (id text primary key, user_id text not null)',
    ]);
    const db = shardedDrizzle({
      schema: { users, countries, posts },
      shards: shards(3),
      tables: { countries: { replicated: true }, posts: { key: 'userId' } },
    });
    await db.insert(users).values(people);
    await db.insert(countries).values([{ code: 'de' }, { code: 'fr' }]);
    await db.insert(posts).values(people.map(({ id }, i) => ({ id: `p${i}`, userId: i < 50 ? id : 'u0' })));
    const stats = await db.$cluster.stats();
    expect(stats.tables).toEqual({
      users: { rows: 60, keys: 60 },
      countries: { rows: 2, keys: 2 },
      posts: { rows: 60, keys: 50 },
    });
    const counted = await rowsPerShard(shards(3), 'users');
    expect(Object.fromEntries(stats.shards.map(({ name, tables }) => [name, tables.users?.rows]))).toEqual(counted);
    expect(stats.shards.map(({ tables }) => tables.countries?.rows)).toEqual([2, 2, 2]);
    expect(stats.shards.reduce((sum, { slotShare }) => sum + slotShare, 0)).toBeCloseTo(1);
    expect(stats.shards.every(({ sizeBytes }) => sizeBytes > 0)).toBe(true);
  });

  it('$explain takes a Drizzle query, sql, or text, and runs none of them', async () => {
    const { shards: counted, total } = countingShards(shards(3));
    const db = shardedDrizzle({ schema, shards: counted });
    await db.$cluster.shards();
    total.reset();
    const byKey = await db.$explain(db.select().from(users).where(eq(users.id, 'u1')));
    expect(byKey).toMatchObject({ kind: 'single', tables: ['users'] });
    const deleted = await db.$explain(sql`delete from ${users} where ${users.id} = ${'u1'}`);
    expect(deleted).toMatchObject({ kind: 'single', shards: byKey.shards });
    expect(deleted.steps[0]).toMatchObject({ sql: 'delete from "users" where "users"."id" = ?', params: ['u1'] });
    const update = await db.$explain({ sql: 'update users set age = ?', params: [1] });
    expect(update).toMatchObject({ kind: 'broadcast', shards: ['s0', 's1', 's2'] });
    expect(update.text).toContain('update users set age = ?');
    expect(total.calls).toBe(0);
  });

  it('onQuery hears of each statement: what ran, where, and its failure', async () => {
    const events: QueryEvent[] = [];
    const db = shardedDrizzle({ schema, shards: shards(3), onQuery: (event) => events.push(event) });
    await db.select().from(users).where(eq(users.id, 'u1'));
    await db.select().from(users).orderBy(users.age);
    await db.batch([db.insert(users).values({ id: 'u1' }), db.select().from(users).where(eq(users.id, 'u1'))]);
    await expect(db.insert(users).values({ id: 'u1' })).rejects.toThrow();
    expect(events.map(({ kind, shards }) => [kind, shards.length])).toEqual([
      ['single', 1],
      ['scatter', 3],
      ['single', 1],
      ['single', 1],
      ['single', 1],
    ]);
    expect(events.map(({ error }) => error !== undefined)).toEqual([false, false, false, false, true]);
    expect(events[0]).toMatchObject({ params: ['u1'] });
    expect(events.every(({ durationMs }) => durationMs >= 0)).toBe(true);
  });
});

describe('rows are spread, and found again', () => {
  it.each([1, 2, 3, 7])('over %i shards', async (count) => {
    const db = open(count);
    await db.insert(users).values(people);
    const spread = Object.values(await rowsPerShard(shards(count), 'users'));
    expect(spread.reduce((sum, rows) => sum + rows, 0)).toBe(people.length);
    expect(spread.every((rows) => rows > 0)).toBe(true);
    for (const person of people) expect(await db.select().from(users).where(eq(users.id, person.id))).toEqual([person]);
    expect(await db.select().from(users).orderBy(users.age)).toEqual(people);
  });

  it('without ORDER BY they come in the order of the key, so that pages neither repeat nor miss one', async () => {
    const db = open();
    await db.insert(users).values(people);
    const pages: { id: string }[] = [];
    for (let offset = 0; offset < people.length; offset += 7) {
      pages.push(...(await db.select({ id: users.id }).from(users).limit(7).offset(offset)));
    }
    expect(pages.map(({ id }) => id)).toEqual(people.map(({ id }) => id).sort());
  });
});
