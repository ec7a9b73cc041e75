import * as orm from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { beforeAll, describe, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { countedShards } from '../support/counted-fetches';
import { plain } from '../support/shards';
import { expectSameAtCost, tables } from './relational';
import { openWorld, personId, RULES } from './support';

/** The types here are those of drizzle-orm 0.45, which has no `defineRelations`. */
type Untyped = Record<string, (...args: unknown[]) => never>;
interface Find {
  readonly findMany: (options: object) => PromiseLike<unknown[]>;
}
interface Database {
  readonly query: Record<'people' | 'posts' | 'comments', Find>;
}

const { defineRelations } = orm as unknown as {
  defineRelations: (schema: object, build: (r: Record<string, Untyped & Record<string, never>>) => object) => object;
};

const relations = defineRelations(tables, (given) => {
  // biome-ignore lint/suspicious/noExplicitAny: the types are those of drizzle-orm 0.45, which has nothing of the kind.
  const r = given as any;
  return {
    people: {
      posts: r.many.posts({ from: r.people.id, to: r.posts.author }),
      chief: r.one.people({ from: r.people.boss, to: r.people.id }),
      liked: r.many.posts({ from: r.people.id.through(r.likes.person), to: r.posts.id.through(r.likes.post) }),
    },
    posts: {
      writer: r.one.people({ from: r.posts.author, to: r.people.id }),
      comments: r.many.comments({ from: r.posts.id, to: r.comments.post }),
    },
    comments: { writer: r.one.people({ from: r.comments.author, to: r.people.id }) },
  };
});

describe.each([1, 3, 5])('relational queries of drizzle-orm 1.0 over %i shards', (count) => {
  const { databases, counts } = countedShards(count);
  const options = { schema: tables, shards: databases, tables: RULES };
  const sharded = shardedDrizzle({ ...options, relations: relations as Record<string, never> }) as unknown as Database;
  const single = drizzle(plain, { relations } as never) as unknown as Database;
  const same = (rows: number, asked: string[], find: (db: Database) => PromiseLike<unknown>) => {
    const cost = count === 1 ? { rows: Number.POSITIVE_INFINITY, tables: [] } : { rows, tables: asked };
    return expectSameAtCost(
      counts,
      cost,
      () => find(single),
      () => find(sharded),
    );
  };

  beforeAll(async () => {
    await openWorld(count);
  });

  it('a page with its relations, three levels deep', () =>
    same(10 * count + 30 + 70 + 70, ['people', 'posts', 'comments'], (db) =>
      db.query.people.findMany({
        columns: { name: true },
        orderBy: { born: 'asc' },
        limit: 7,
        offset: 3,
        with: {
          chief: true,
          posts: {
            where: { stars: { gt: 0.5 } },
            orderBy: { id: 'desc' },
            limit: 2,
            with: { comments: { orderBy: { id: 'asc' }, with: { writer: { columns: { name: true } } } } },
          },
        },
      }),
    ));

  it('many to many, by way of a table between them', () =>
    same(5 * count + 15 + 15, ['people', 'likes', 'posts'], (db) =>
      db.query.people.findMany({
        orderBy: { born: 'desc' },
        limit: 5,
        with: { liked: { orderBy: { id: 'asc' } } },
      }),
    ));

  it('the rows of one key, whose relations live elsewhere', () =>
    same(1 + 3 + 3 + 1, ['people', 'likes', 'posts'], (db) =>
      db.query.people.findMany({
        where: { id: personId(3) },
        with: { liked: { orderBy: { id: 'asc' } }, chief: true },
      }),
    ));

  it('filtered by what is related', () =>
    same(23 * 3, ['posts', 'people'], (db) =>
      db.query.people.findMany({
        where: { posts: { title: 'title 9' } },
        orderBy: { id: 'asc' },
        with: { posts: { where: { title: 'title 9' }, orderBy: { id: 'asc' } } },
      }),
    ));
});
