import { asc, eq } from 'drizzle-orm';
import type { DrizzleD1Database } from 'drizzle-orm/d1';
import { posts, type schema, users } from './schema.ts';

export type Database = DrizzleD1Database<typeof schema>;

export const USERS = 1000;
export const POSTS_PER_USER = 3;

/** Spreads consecutive operations over all users, in the same order on both sides. */
export const userId = (index: number) => `user-${(index * 7919) % USERS}`;

export interface Case {
  readonly name: string;
  /** `unique` differs in every operation of a benchmark. */
  readonly run: (db: Database, index: number, unique: string) => Promise<unknown>;
  /** Reads from all shards: more work than one database does, so no ratio is aimed at. */
  readonly scatter?: true;
}

export const cases: readonly Case[] = [
  {
    name: 'select by key',
    run: (db, index) =>
      db
        .select()
        .from(users)
        .where(eq(users.id, userId(index))),
  },
  {
    name: 'insert',
    run: (db, _index, unique) =>
      db.insert(users).values({ id: `new-${unique}`, name: 'New', email: 'new@example.com' }),
  },
  {
    name: 'update by key',
    run: (db, index, unique) =>
      db
        .update(users)
        .set({ email: unique })
        .where(eq(users.id, userId(index))),
  },
  {
    name: 'findFirst with posts',
    run: (db, index) => db.query.users.findFirst({ where: eq(users.id, userId(index)), with: { posts: true } }),
  },
  {
    name: 'batch of 5, one key',
    run: (db, index, unique) => {
      const id = userId(index);
      return db.batch([
        db.select().from(users).where(eq(users.id, id)),
        db.select().from(posts).where(eq(posts.userId, id)),
        db.update(users).set({ email: unique }).where(eq(users.id, id)),
        db.update(posts).set({ title: unique }).where(eq(posts.userId, id)),
        db.select().from(users).where(eq(users.id, id)),
      ]);
    },
  },
  {
    name: 'page of all, by name',
    run: (db) => db.select().from(users).orderBy(asc(users.name)).limit(20),
    scatter: true,
  },
];
