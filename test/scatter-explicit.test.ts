import { count, eq, inArray } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ScatterError, shardedDrizzle } from '../src';
import { failureOf } from './placement/fixture';
import { InterceptedD1 } from './support/intercepted-d1';
import { resetDatabases } from './support/reset';
import { runEverywhere } from './support/seed';
import { shards } from './support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() });
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id').notNull(),
  body: text('body'),
});
const countries = sqliteTable('countries', { code: text('code').primaryKey() });
const schema = { users, posts, countries };

const open = (count = 3) =>
  shardedDrizzle({
    schema,
    shards: shards(count),
    tables: { posts: { key: 'userId' }, countries: { replicated: true } },
    scatter: 'explicit',
  });
const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];

beforeAll(async () => {
  await resetDatabases();
  await runEverywhere(shards(3), [
    'create table users (id text primary key, name text not null)',
    'create table posts (id integer primary key, user_id text not null, body text)',
    'create table countries (code text primary key)',
  ]);
  const db = open();
  await db.insert(users).values(IDS.map((id) => ({ id, name: id })));
  await db.insert(posts).values(IDS.map((userId) => ({ userId, body: 'x' })));
  await db.insert(countries).values({ code: 'FR' });
});

describe("scatter: 'explicit'", () => {
  it('lets statements pass that name their keys, and those of replicated tables', async () => {
    const db = open();
    expect(await db.select().from(users).where(eq(users.id, 'a'))).toHaveLength(1);
    expect(await db.select().from(users).where(inArray(users.id, IDS))).toHaveLength(6);
    const joined = db.select().from(users).innerJoin(posts, eq(posts.userId, users.id)).where(eq(users.id, 'b'));
    expect(await joined).toHaveLength(1);
    expect((await db.update(posts).set({ body: 'y' }).where(eq(posts.userId, 'a'))).meta.changes).toBe(1);
    expect(await db.select().from(countries)).toEqual([{ code: 'FR' }]);
    expect((await db.update(countries).set({ code: 'DE' })).meta.changes).toBe(1);
    // Who is followed is known once the row of the key is.
    const followed = db.select({ name: users.name }).from(posts).innerJoin(users, eq(users.id, posts.body));
    expect(await followed.where(eq(posts.userId, 'a'))).toEqual([]);
    await expect(followed.where(eq(posts.body, 'a'))).rejects.toThrow();
    const [one] = await db.batch([db.select().from(users).where(eq(users.id, 'c'))]);
    expect(one).toHaveLength(1);
  });

  it('asks by keys, even where other values are fewer', async () => {
    const asked: string[] = [];
    const counted = Object.entries(shards(3)).map(([name, database]) => [
      name,
      new InterceptedD1(database, (call, ask) => {
        asked.push(...call.statements.map(({ sql }) => sql));
        return ask();
      }),
    ]);
    const config = {
      tables: { posts: { key: 'user_id' }, countries: { replicated: true } },
      scatter: 'explicit',
    } as const;
    const db = shardedDrizzle({ shards: Object.fromEntries(counted) as Record<string, D1Database>, ...config });
    await db.$client.prepare("insert into posts (user_id, body) values ('f', 'a'), ('f', 'b')").run();
    // One value of user_id, and some of body, which are the keys.
    const sql =
      "select u.id from posts p join users u on u.id = p.body and u.name = p.user_id where p.user_id = 'f' order by 1";
    expect((await db.$client.prepare(sql).all()).results).toEqual([]);
    expect(asked.filter((one) => one.includes('"id" in (select')).length).toBeGreaterThan(0);
    expect(asked.filter((one) => one.includes('"name" in (select'))).toEqual([]);
    await db.$client.prepare("delete from posts where user_id = 'f' and body <> 'x'").run();
  });

  it.each([1, 3])(
    'refuses those that would ask all of %i shards, and says which key is missing',
    async (shardCount) => {
      const db = open(shardCount);
      const everything = [
        db.select().from(users),
        db.select({ n: count() }).from(users).where(eq(users.name, 'a')),
        db.select().from(users).leftJoin(posts, eq(posts.userId, users.id)),
        db.update(posts).set({ body: 'z' }).where(eq(posts.body, 'x')),
        db.delete(users),
        db.run('delete from posts'),
      ];
      for (const query of everything) {
        const error = await failureOf(query);
        expect(error).toBeInstanceOf(ScatterError);
        expect(error).toMatchObject({ code: 'SCATTER' });
      }
      expect(await failureOf(db.batch([db.select().from(users)]))).toMatchObject({ code: 'SCATTER' });
      const { message } = await failureOf(db.delete(posts));
      expect(message).toContain('posts.user_id');
      expect(message).toContain('db.$scatter');
      const session = db.$client.withSession();
      expect(await failureOf(session.prepare('select * from users').all())).toMatchObject({ code: 'SCATTER' });
      expect(await db.$near('weur').select().from(countries)).toHaveLength(1);
      expect(await failureOf(db.$near('weur').select().from(users))).toMatchObject({ code: 'SCATTER' });
    },
  );

  it('runs them through db.$scatter, and explains them', async () => {
    const db = open();
    expect(await db.$scatter.select().from(users).orderBy(users.id)).toHaveLength(6);
    expect((await db.$scatter.update(posts).set({ body: 'z' })).meta.changes).toBe(6);
    expect((await db.$explain(db.select().from(users))).kind).toBe('scatter');
    // What the write has to look for is no business of the user's.
    const first = db.$scatter.run('delete from posts order by user_id limit 1');
    expect((await first).meta.changes).toBe(1);
  });

  it('is said wrong when the configuration is read', () => {
    expect(() => shardedDrizzle({ shards: shards(1), scatter: 'never' as never })).toThrow(/scatter is "never"/);
  });
});
