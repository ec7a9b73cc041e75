import { env } from 'cloudflare:workers';
import { inArray, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Strategy, shardedDrizzle } from '../../src';
import { Fleet, PLACES, rowsEverywhere } from '../support/isolates';
import { hashOwner } from '../support/owner';
import { runEverywhere } from '../support/seed';
import { shards } from '../support/shards';
import { failureOf, keysOf, migrated, open, posts, schema, tables, tickets, users } from './fixture';

/** A table that is whole on every shard, with an integer primary key. */
const tags = sqliteTable('tags', { id: integer('id').primaryKey(), label: text('label') });

const openTags = (fleet: Fleet) =>
  shardedDrizzle({
    ...fleet.isolate().config,
    schema: { ...schema, tags },
    tables: { ...tables, tags: { replicated: true } },
  });

const owner = hashOwner(['s0', 's1', 's2']);

interface Stored {
  readonly id: number;
}
/** The ids of a table on all shards, sorted. */
const stored = async (table: string): Promise<number[]> =>
  (await rowsEverywhere<Stored>(`select id from ${table}`, shards(3))).map(({ id }) => id).sort((a, b) => a - b);

const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);

function expectUnique(ids: readonly number[], count: number): void {
  expect(ids).toHaveLength(count);
  expect(new Set(ids).size).toBe(count);
  for (const id of ids) expect(Number.isSafeInteger(id) && id > 0, `${id}`).toBe(true);
}

beforeEach(() => migrated());

describe.each(PLACES)('an integer primary key that is left out, the catalog in the %s', (place) => {
  it('is unique over all shards and two isolates at once, and returning() gives it', async () => {
    const fleet = new Fleet(place, env.KV);
    const databases = [open(fleet.isolate()), open(fleet.isolate())];
    // At first nobody knows where to begin; then more than a block each.
    const returned: (typeof posts.$inferSelect)[] = [];
    for (const [wave, count] of [10, 70].entries()) {
      const inserts = databases.flatMap((db, i) =>
        keysOf(`${wave}-${i}-`, count).map((userId) => db.insert(posts).values({ userId }).returning()),
      );
      returned.push(...(await Promise.all(inserts)).flat());
    }
    const ids = returned.map(({ id }) => id);
    expectUnique(ids, 160);
    expect(await stored('posts')).toEqual(sorted(ids));
    for (const { id, user, shard } of await rowsEverywhere<{ id: number; user: string }>(
      'select id, user_id as user from posts',
      shards(3),
    )) {
      expect(returned).toContainEqual({ id, userId: user, body: null });
      expect(shard).toBe(owner(user));
    }
  });

  it('is unique also when it is the shard key itself, and decides where the row lives', async () => {
    const fleet = new Fleet(place, env.KV);
    const databases = [open(fleet.isolate()), open(fleet.isolate())];
    const returned = await Promise.all(
      databases.flatMap((db) => keysOf('t', 20).map((title) => db.insert(tickets).values({ title }).returning())),
    );
    const ids = returned.map(([ticket]) => ticket?.id as number);
    expectUnique(ids, 40);
    const rows = await rowsEverywhere<Stored>('select id from tickets', shards(3));
    expect(sorted(rows.map(({ id }) => id))).toEqual(sorted(ids));
    for (const { id, shard } of rows) expect(shard, `${id}`).toBe(owner(String(id)));
    const found = await open(fleet.isolate()).select().from(tickets).where(inArray(tickets.id, ids));
    expect(found).toHaveLength(40);
  });

  it('begins above the rows that there are, wherever they are', async () => {
    const fleet = new Fleet(place);
    const databases = shards(3) as Record<'s0' | 's1' | 's2', D1Database>;
    await databases.s0.prepare("insert into posts (id, user_id) values (30, 'a')").run();
    await databases.s2.prepare("insert into posts (id, user_id) values (-7, 'a'), (5000, 'b')").run();
    await databases.s1.prepare("insert into posts (id, user_id) values (2, 'c')").run();
    const isolates = [open(fleet.isolate()), open(fleet.isolate())];
    const returned = await Promise.all(
      isolates.flatMap((db) => keysOf('u', 5).map((userId) => db.insert(posts).values({ userId }).returning())),
    );
    const ids = returned.map(([post]) => post?.id as number);
    expectUnique(ids, 10);
    expect(Math.min(...ids)).toBeGreaterThan(5000);
    // And close above: nothing is wasted but what two blocks leave.
    expect(Math.max(...ids)).toBeLessThan(6000);
  });

  it('is given again by nobody after all rows were deleted', async () => {
    const fleet = new Fleet(place);
    const db = open(fleet.isolate());
    const [first] = await db.insert(posts).values({ userId: 'a' }).returning();
    await db.delete(posts);
    const [second] = await open(fleet.isolate()).insert(posts).values({ userId: 'a' }).returning();
    expect(second?.id).toBeGreaterThan(first?.id as number);
  });

  it('counts for each table', async () => {
    const db = open(new Fleet(place).isolate());
    const [[post], [ticket]] = [
      await db.insert(posts).values({ userId: 'a' }).returning(),
      await db.insert(tickets).values({ title: 't' }).returning(),
    ];
    expect([post?.id, ticket?.id]).toEqual([1, 1]);
  });

  it('in a replicated table is the same on every shard, and unique over two isolates at once', async () => {
    const fleet = new Fleet(place);
    const databases = [openTags(fleet), openTags(fleet)];
    await runEverywhere(shards(3), ['create table tags (id integer primary key, label text)']);
    // Now each shard by itself would begin with an id that is given.
    const taken = await (databases[0] as (typeof databases)[0]).$nextId(tags);
    const returned = await Promise.all(
      databases.flatMap((db, i) =>
        keysOf(`${i}-`, 4).map((label) =>
          db
            .insert(tags)
            .values([{ label }, { label: `${label}b` }])
            .returning(),
        ),
      ),
    );
    const rows = returned.flat();
    expectUnique([taken, ...rows.map(({ id }) => id)], 17);
    for (const database of Object.values(shards(3))) {
      const { results } = await database.prepare('select id, label from tags order by id').all();
      expect(results).toEqual([...rows].sort((a, b) => a.id - b.id));
    }
  });
});

describe('an integer primary key that is left out', () => {
  it.each([
    ['hash', 'hash'],
    ['round-robin', 'round-robin'],
  ] as [string, Strategy][])(
    'is given to each row of an INSERT of many, in their order: %s',
    async (_name, strategy) => {
      const db = open(new Fleet('coordinator').isolate(), { strategy });
      const titles = keysOf('t', 150);
      const returned = await db
        .insert(tickets)
        .values(titles.map((title) => ({ title })))
        .returning();
      expectUnique(
        returned.map(({ id }) => id),
        150,
      );
      expect(returned.map(({ title }) => title)).toEqual(titles);
      const rows = await db.select().from(tickets).orderBy(tickets.id);
      expect(rows).toEqual([...returned].sort((a, b) => a.id - b.id));
      const shardsUsed = new Set((await rowsEverywhere('select id from tickets', shards(3))).map(({ shard }) => shard));
      expect(shardsUsed.size).toBe(3);
    },
  );

  it('is given where null is: as a literal, as a value, beside rows that have one', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const d1 = db.$client;
    await db.insert(tickets).values({ id: 1000, title: 'given' });
    await d1.prepare("insert into tickets (id, title) values (null, 'literal')").run();
    const insert = d1.prepare('insert into tickets (id, title) values (?, ?), (?, ?), (?, ?)');
    await insert.bind(null, 'a', 2000, 'b', null, 'c').run();
    await db.run(sql`insert into tickets (title, id) values (${'last'}, ${null})`);
    await d1.prepare('insert into tickets default values').run();
    const rows = await db.select().from(tickets);
    expectUnique(
      rows.map(({ id }) => id),
      7,
    );
    expect(rows.filter(({ id }) => id === 1000 || id === 2000).map(({ title }) => title)).toEqual(['given', 'b']);
    // Above what was there when the sequence began.
    expect(rows.every(({ id }) => id >= 1000)).toBe(true);
    for (const { id, shard } of await rowsEverywhere<Stored>('select id from tickets', shards(3)))
      expect(shard).toBe(owner(String(id)));
  });

  it('is meta.last_row_id, and what a read by it finds', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const ids: number[] = [];
    for (const userId of keysOf('u', 12)) {
      const { meta } = await db.insert(posts).values({ userId });
      expect(meta.changes).toBe(1);
      ids.push(meta.last_row_id);
      const [post] = await db.all<{ id: number }>(sql`select id from posts where user_id = ${userId}`);
      expect(post?.id).toBe(meta.last_row_id);
    }
    expectUnique(ids, 12);
    const { meta } = await db.$client.prepare("insert into tickets (title) values ('t')").run();
    expect(await stored('tickets')).toEqual([meta.last_row_id]);
  });

  it('of the last row is meta.last_row_id of an INSERT of many', async () => {
    const db = open(new Fleet('coordinator').isolate());
    // Of one user, and of several on several shards.
    for (const userIds of [Array(3).fill('u1'), keysOf('u', 12)]) {
      const { meta } = await db.insert(posts).values(userIds.map((userId: string) => ({ userId })));
      expect(meta.last_row_id).toBe((await stored('posts')).at(-1));
    }
  });

  it('is given in a batch, and the rows beside it can be of the same key', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const [one, many] = await db.batch([
      db.insert(posts).values({ userId: 'a' }).returning(),
      db
        .insert(posts)
        .values([{ userId: 'a' }, { userId: 'a' }])
        .returning(),
      db.insert(users).values({ id: 'a', name: 'x' }),
    ]);
    const ids = [...one, ...many].map(({ id }) => id);
    expectUnique(ids, 3);
    expect(await stored('posts')).toEqual(sorted(ids));
  });

  it('is given to a statement that is prepared once and run often', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const insert = db
      .insert(posts)
      .values({ userId: sql.placeholder('user') })
      .returning({ id: posts.id })
      .prepare();
    const ids: number[] = [];
    for (const user of keysOf('u', 6)) ids.push((await insert.all({ user }))[0]?.id as number);
    expectUnique(ids, 6);
  });

  it('takes one statement to insert, and no look at the rows', async () => {
    const isolate = new Fleet('coordinator').isolate();
    const db = open(isolate);
    await db.insert(posts).values({ userId: 'a' });
    isolate.reset();
    for (const userId of keysOf('u', 80)) await db.insert(posts).values({ userId });
    expect(isolate.total.sql).toHaveLength(80);
    for (const text of isolate.total.sql) expect(text).toMatch(/^insert into "posts"/);
    // Of the first 64 ids one was taken before.
    expect(isolate.calls).toMatchObject({ d1: 80, catalog: 1 });
  });

  it('is never one that was given by hand: on another shard nothing would refuse it', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const [first] = await db.insert(posts).values({ userId: 'a' }).returning();
    const given = (first?.id as number) + 20;
    // The next twenty would reach it.
    await db.insert(posts).values({ id: given, userId: 'b' });
    const ids: number[] = [];
    for (const userId of keysOf('u', 40)) {
      const [post] = await db.insert(posts).values({ userId }).returning();
      ids.push(post?.id as number);
    }
    expect(ids).not.toContain(given);
    expectUnique(await stored('posts'), 42);
  });

  it('is given to each row of a SELECT', async () => {
    const db = open(new Fleet('coordinator').isolate());
    for (const id of keysOf('u', 6)) await db.insert(users).values({ id, name: 'x' });
    const copied = sql`insert into posts (user_id) select id from users where name = ${'x'} returning id`;
    const rows = await db.all<{ id: number }>(copied);
    expectUnique(
      rows.map(({ id }) => id),
      6,
    );
    expect(await stored('posts')).toHaveLength(6);
  });
});

describe('$nextId', () => {
  it('gives the ids that inserts would get, to isolates and inserts at once', async () => {
    const fleet = new Fleet('coordinator');
    const [a, b] = [open(fleet.isolate()), open(fleet.isolate())];
    const given = await Promise.all(
      keysOf('u', 10).flatMap((userId) => [
        a.$nextId(posts),
        b.$nextId('posts'),
        a
          .insert(posts)
          .values({ userId })
          .returning()
          .then(([post]) => post?.id as number),
      ]),
    );
    expectUnique(given, 30);
  });

  it('can be used for a row and its children, as its own shard key', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const id = await db.$nextId(tickets);
    await db.insert(tickets).values({ id, title: 'mine' });
    const [next] = await db.insert(tickets).values({ title: 'next' }).returning();
    expect(next?.id).toBeGreaterThan(id);
  });

  it('is one sequence however the name is written', async () => {
    const db = open(new Fleet('coordinator').isolate());
    const given = [await db.$nextId('posts'), await db.$nextId('POSTS'), await db.$nextId('Posts')];
    const [post] = await db.insert(posts).values({ userId: 'a' }).returning();
    expectUnique([...given, post?.id as number], 4);
  });

  it('is refused for a table whose primary key is text, and for one that is not there', async () => {
    const db = open(new Fleet('coordinator').isolate());
    expect(await failureOf(db.$nextId(users))).toMatchObject({ code: 'CONFIG' });
    expect(await failureOf(db.$nextId('nowhere'))).toMatchObject({ code: 'UNKNOWN_TABLE' });
  });
});
