import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expectTypeOf, it } from 'vitest';
import { type Page, shardedD1, shardedDrizzle } from '../../src';
import type { ShardCoordinator } from '../../src/workerd';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull(), age: integer('age') });
const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id').notNull() });
const members = sqliteTable('members', { userId: text('user_id'), groupId: text('group_id') }, (t) => [
  primaryKey({ columns: [t.userId, t.groupId] }),
]);
const schema = { users, posts, members, notATable: 1 };

declare const d1: D1Database;
declare const kv: KVNamespace;
declare const coordinator: DurableObjectNamespace<ShardCoordinator>;
const shards = { 'db-east': d1, 'db-west': d1 };

describe('the configuration follows the schema', () => {
  it('takes tables, columns and shards that exist', () => {
    shardedDrizzle({ schema, shards, tables: { posts: { key: 'userId' }, members: { key: 'userId' } } });
    shardedDrizzle({ schema, shards, tables: { users: { shard: 'db-west' }, posts: { replicated: true } } });
    shardedD1({ shards, tables: { anything: { key: 'any_column' } } });
  });

  it('refuses a column that the table does not have', () => {
    // @ts-expect-error: userIdd is no column
    shardedDrizzle({ schema, shards, tables: { posts: { key: 'userIdd' } } });
    // @ts-expect-error: the name in the database is not the schema's
    shardedDrizzle({ schema, shards, tables: { posts: { key: 'user_id' } } });
  });

  it('refuses a table that the schema does not have', () => {
    // @ts-expect-error: no such export
    shardedDrizzle({ schema, shards, tables: { postz: { key: 'userId' } } });
    // @ts-expect-error: an export that is no table
    shardedDrizzle({ schema, shards, tables: { notATable: { replicated: true } } });
  });

  it('refuses a shard that is not configured', () => {
    // @ts-expect-error: no such shard
    shardedDrizzle({ schema, shards, tables: { users: { shard: 'db-north' } } });
    // @ts-expect-error: no such shard
    shardedDrizzle({ schema, shards }).$shard('db-north');
  });

  it('refuses two rules for one table, and an unknown strategy', () => {
    // @ts-expect-error: a replicated table has no key
    shardedDrizzle({ schema, shards, tables: { posts: { key: 'userId', replicated: true } } });
    // @ts-expect-error: no such strategy
    shardedDrizzle({ schema, shards, strategy: 'astrology' });
  });

  it('takes where shards are, a strategy for each keyspace, and what holds the catalog', () => {
    const shardLocations = { 'db-west': { region: 'wnam', priority: 2 }, 'db-east': 'enam' } as const;
    shardedDrizzle({ schema, shards, strategy: 'location', shardLocations, targetRegion: 'weur' });
    shardedDrizzle({ schema, shards, strategy: { default: 'hash', tenants: (_key, [first]) => first?.name ?? '' } });
    shardedDrizzle({ schema, shards, kv, coordinator, control: 'db-east', shardWeights: { 'db-west': 2 } });
  });

  it('refuses regions, locations and a place of the catalog that do not exist', () => {
    // @ts-expect-error: no such region
    shardedDrizzle({ schema, shards, strategy: 'location', shardLocations: { 'db-west': { region: 'mars' } } });
    // @ts-expect-error: no such shard
    shardedDrizzle({ schema, shards, shardLocations: { 'db-north': 'weur' } });
    // @ts-expect-error: no such shard
    shardedDrizzle({ schema, shards, control: 'db-north' });
    // @ts-expect-error: a KV namespace is no coordinator
    shardedDrizzle({ schema, shards, coordinator: kv });
    // @ts-expect-error: no such region
    shardedDrizzle({ schema, shards }).$near('mars');
  });
});

describe('the database is typed as Drizzle types it', () => {
  const db = shardedDrizzle({ schema, shards, tables: { posts: { key: 'userId' } } });
  const plain = drizzle(d1, { schema });

  it('gives the same rows for a select', () => {
    const sharded = db.select().from(users).where(eq(users.id, 'a'));
    const same = plain.select().from(users).where(eq(users.id, 'a'));
    expectTypeOf<Awaited<typeof sharded>>().toEqualTypeOf<Awaited<typeof same>>();
    expectTypeOf<Awaited<typeof sharded>>().toEqualTypeOf<{ id: string; name: string; age: number | null }[]>();
  });

  it('gives the same rows for joins, returning and relational queries', () => {
    const joined = db
      .select({ name: users.name, post: posts.id })
      .from(users)
      .leftJoin(posts, eq(posts.userId, users.id));
    expectTypeOf<Awaited<typeof joined>>().toEqualTypeOf<{ name: string; post: string | null }[]>();
    const returned = db.insert(users).values({ id: 'a', name: 'Ada' }).returning({ id: users.id });
    expectTypeOf<Awaited<typeof returned>>().toEqualTypeOf<{ id: string }[]>();
    const found = db.query.users.findFirst();
    expectTypeOf<Awaited<typeof found>>().toEqualTypeOf<{ id: string; name: string; age: number | null } | undefined>();
  });

  it('refuses what Drizzle refuses', () => {
    // @ts-expect-error: name is required
    db.insert(users).values({ id: 'a' });
  });

  it('hands out plain databases of the same type', () => {
    expectTypeOf(db.$shard('db-east')).toEqualTypeOf<typeof plain>();
    expectTypeOf(db.$forKey('user-123')).resolves.toEqualTypeOf<typeof plain>();
    expectTypeOf(db.$client).toEqualTypeOf<D1Database>();
  });

  it('pages and streams rows of the type that the query gives', () => {
    const joined = db
      .select({ name: users.name, post: posts.id })
      .from(users)
      .leftJoin(posts, eq(posts.userId, users.id));
    type Joined = { name: string; post: string | null };
    expectTypeOf(db.$page(joined.orderBy(users.name).limit(5))).resolves.toEqualTypeOf<Page<Joined>>();
    expectTypeOf(db.$page(joined, { after: null }))
      .resolves.toHaveProperty('next')
      .toEqualTypeOf<string | undefined>();
    expectTypeOf(db.$stream(joined, { chunk: 5 })).toEqualTypeOf<AsyncGenerator<Joined, void, undefined>>();
    const related = db.query.users.findMany({ columns: { id: true }, limit: 5 });
    expectTypeOf(db.$page(related)).resolves.toEqualTypeOf<Page<{ id: string }>>();
    expectTypeOf(db.$scatter.$page(joined)).resolves.toEqualTypeOf<Page<Joined>>();
    // @ts-expect-error: one row and no list
    db.$page(db.query.users.findFirst());
    // @ts-expect-error: no query
    db.$page([{ name: 'Ada' }]);
    // @ts-expect-error: rows and no query
    db.$stream(Promise.resolve([{ name: 'Ada' }]));
    // @ts-expect-error: a number is no cursor
    db.$page(joined, { after: 20 });
  });

  it('explains Drizzle queries, sql and text', () => {
    expectTypeOf(db.$explain(db.select().from(users))).resolves.toHaveProperty('text');
    expectTypeOf(db.$explain({ sql: 'select 1', params: [] })).resolves.toHaveProperty('shards');
  });
});
