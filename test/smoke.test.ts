import { eq } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, expect, it } from 'vitest';
import { shardedDrizzle } from '../src';
import { resetDatabases } from './support/reset';
import { runEverywhere } from './support/seed';
import { shards } from './support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull(), age: integer('age') });
const posts = sqliteTable('posts', {
  id: text('id').primaryKey(),
  userId: text('user_id')
    .notNull()
    .references(() => users.id),
  title: text('title'),
});
const schema = { users, posts };

beforeEach(async () => {
  await resetDatabases();
  await runEverywhere(shards(3), [
    'create table users (id text primary key, name text not null, age integer)',
    'create table posts (id text primary key, user_id text not null references users(id), title text)',
  ]);
});

it('runs', async () => {
  const db = shardedDrizzle({ schema, shards: shards(3), tables: { posts: { key: 'userId' } } });
  const many = Array.from({ length: 50 }, (_, i) => ({ id: `u${i}`, name: `name ${i % 7}`, age: i }));
  const back = await db.insert(users).values(many).returning();
  expect(back).toEqual(many);
  await db.insert(posts).values(many.map((u) => ({ id: `p${u.id}`, userId: u.id, title: u.name })));
  expect(await db.select().from(users).where(eq(users.id, 'u7'))).toEqual([many[7]]);
  expect((await db.select().from(users).orderBy(users.age).limit(5).offset(3)).map((u) => u.age)).toEqual([
    3, 4, 5, 6, 7,
  ]);
  expect(await db.$count(users)).toBe(50);
  const joined = await db
    .select({ u: users.id, p: posts.id })
    .from(users)
    .innerJoin(posts, eq(posts.userId, users.id))
    .orderBy(users.age);
  expect(joined).toHaveLength(50);
  const named = await db
    .select({ u: users.id, p: posts.id })
    .from(users)
    .innerJoin(posts, eq(posts.title, users.name))
    .orderBy(users.age, posts.id);
  expect(named.length).toBeGreaterThan(300);
  console.log(
    (
      await db.$explain(
        db.select({ u: users.id, p: posts.id }).from(users).innerJoin(posts, eq(posts.title, users.name)),
      )
    ).text,
  );
  console.log((await db.$explain(db.select().from(users).orderBy(users.age).limit(5).offset(3))).text);
  const updated = await db.update(users).set({ name: 'x' }).where(eq(users.age, 3)).returning({ id: users.id });
  expect(updated).toEqual([{ id: 'u3' }]);
  const gone = await db.delete(posts);
  expect(gone.meta.changes).toBe(50);
});
