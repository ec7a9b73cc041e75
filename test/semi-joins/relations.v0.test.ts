import { asc, desc, eq, gt, like, relations, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { beforeAll, describe, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { countedShards } from '../support/counted-fetches';
import { plain } from '../support/shards';
import { comments, expectSameAtCost, likes, people, posts, tables } from './relational';
import { openWorld, personId, RULES } from './support';

const schema = {
  ...tables,
  peopleRelations: relations(people, ({ many, one }) => ({
    posts: many(posts),
    likes: many(likes),
    boss: one(people, { fields: [people.boss], references: [people.id] }),
  })),
  postsRelations: relations(posts, ({ one, many }) => ({
    author: one(people, { fields: [posts.author], references: [people.id] }),
    comments: many(comments),
  })),
  commentsRelations: relations(comments, ({ one }) => ({
    post: one(posts, { fields: [comments.post], references: [posts.id] }),
    author: one(people, { fields: [comments.author], references: [people.id] }),
  })),
  likesRelations: relations(likes, ({ one }) => ({
    person: one(people, { fields: [likes.person], references: [people.id] }),
    post: one(posts, { fields: [likes.post], references: [posts.id] }),
  })),
};

describe.each([1, 3, 5])('relational queries over %i shards', (count) => {
  const { databases, counts } = countedShards(count);
  const sharded = shardedDrizzle({ schema, shards: databases, tables: RULES });
  const single = drizzle(plain, { schema });
  const same = (rows: number, asked: string[], find: (db: typeof single) => PromiseLike<unknown>) =>
    expectSameAtCost(
      counts,
      { rows: count === 1 ? Number.POSITIVE_INFINITY : rows, tables: count === 1 ? [] : asked },
      () => find(single),
      () => find(sharded),
    );

  beforeAll(async () => {
    await openWorld(count);
  });

  it('a page of posts with their authors and comments', () =>
    same(20 * count + 20 + 60, ['posts', 'people', 'comments'], (db) =>
      db.query.posts.findMany({
        orderBy: [desc(posts.stars), asc(posts.id)],
        limit: 20,
        with: { author: true, comments: { orderBy: asc(comments.id) } },
      }),
    ));

  it('three levels, with where, order, limit, columns and extras at each', () =>
    same(10 * count + 30 + 70 + 70, ['people', 'posts', 'comments'], (db) =>
      db.query.people.findMany({
        columns: { name: true, country: true },
        extras: { upper: sql<string>`upper(${people.name})`.as('upper') },
        orderBy: asc(people.born),
        limit: 7,
        offset: 3,
        with: {
          posts: {
            columns: { title: true },
            where: gt(posts.stars, 0.5),
            orderBy: [desc(posts.id)],
            limit: 2,
            with: {
              comments: {
                extras: { long: sql<number>`length(${comments.body})`.as('long') },
                where: like(comments.body, 'b%'),
                orderBy: comments.id,
                with: { author: { columns: { name: true } } },
              },
            },
          },
        },
      }),
    ));

  it('the rows of one key, whose relations live elsewhere', () =>
    same(30, ['people', 'likes', 'posts'], (db) =>
      db.query.people.findMany({
        where: eq(people.id, personId(3)),
        with: { likes: { orderBy: likes.post, with: { post: { with: { author: true } } } }, boss: true },
      }),
    ));

  it('a condition instead of a limit', () =>
    same(23 * 3, ['posts', 'people'], (db) =>
      db.query.posts.findMany({
        where: eq(posts.title, 'title 11'),
        orderBy: posts.id,
        with: { author: { with: { boss: true } } },
      }),
    ));

  it('findFirst', () =>
    same(count + 4 + 8, ['comments'], (db) =>
      db.query.comments
        .findFirst({
          where: eq(comments.body, 'b2'),
          orderBy: desc(comments.id),
          with: { post: { with: { comments: { orderBy: comments.id, limit: 2 } } }, author: true },
        })
        .then((found) => [found]),
    ));
});
