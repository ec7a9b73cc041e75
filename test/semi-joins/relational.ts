import { integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { expect } from 'vitest';
import { type Counts, callsFor, rowsFetched } from '../support/counted-fetches';

export const people = sqliteTable('people', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  country: text('country'),
  boss: text('boss'),
  born: integer('born'),
});
export const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  author: text('author').notNull(),
  title: text('title').notNull(),
  stars: real('stars'),
});
export const comments = sqliteTable('comments', {
  id: text('id').primaryKey(),
  post: integer('post').notNull(),
  author: text('author'),
  body: text('body'),
});
export const likes = sqliteTable('likes', { person: text('person').notNull(), post: integer('post').notNull() });

const countries = sqliteTable('countries', { code: text('code').primaryKey(), continent: text('continent') });

export const tables = { people, posts, comments, likes, countries };

/** What a relational query may cost: rows in all, and how often a shard is asked for each table. */
export interface Cost {
  readonly rows: number;
  readonly tables: readonly string[];
}

/** Nothing is fetched that is not in the answer or beside it on a page, and each shard is asked for each table at most once. */
export async function expectSameAtCost<T>(
  counts: Counts,
  { rows, tables: asked }: Cost,
  plain: () => PromiseLike<T>,
  sharded: () => PromiseLike<T>,
): Promise<void> {
  const expected = await plain();
  // What a new isolate learns of keys that were moved it learns once.
  await sharded();
  counts.calls = [];
  expect(await sharded()).toEqual(expected);
  expect(expected).not.toEqual([]);
  expect(rowsFetched(counts)).toBeLessThanOrEqual(rows);
  for (const table of asked) {
    const names = callsFor(counts, table).map(({ shard }) => shard);
    expect(names.length, table).toBeGreaterThan(0);
    expect(names.length, table).toBeLessThanOrEqual(new Set(names).size * mentions(counts, table));
  }
}

/** How often the statement names the table: each is fetched by itself. */
const mentions = (counts: Counts, table: string): number =>
  new Set(callsFor(counts, table).flatMap(({ fetches }) => fetches.map(({ sql }) => sql))).size;
