import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expectTypeOf, it } from 'vitest';
import {
  type CollegeDBConfig,
  type CollegeDBCoordinator,
  collegedb,
  createCollegeDB,
  discoverExistingPrimaryKeys,
  first,
  initialize,
  KVShardMapper,
  prepare,
  run,
  type ShardMapping,
} from '../../src/collegedb/workerd';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() });
const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id').notNull() });
const schema = { users, posts };

declare const d1: D1Database;
declare const kv: KVNamespace;
declare const coordinator: DurableObjectNamespace<CollegeDBCoordinator>;
const shards = { 'db-east': d1, 'db-west': d1 };

describe('the configuration', () => {
  it('is that of CollegeDB', () => {
    initialize({ kv, coordinator, shards, strategy: 'hash', disableAutoMigration: true, hashShardMappings: false });
    initialize({
      kv,
      shards,
      strategy: { read: 'hash', write: 'location' },
      targetRegion: 'wnam',
      shardLocations: { 'db-east': 'enam' },
    });
    expectTypeOf<CollegeDBConfig>().toHaveProperty('kv').toEqualTypeOf<KVNamespace>();
    // @ts-expect-error: kv is required
    initialize({ shards });
    // @ts-expect-error: no such shard
    initialize({ kv, shards, shardLocations: { 'db-north': 'enam' } });
    // @ts-expect-error: no such strategy
    initialize({ kv, shards, strategy: 'astrology' });
  });

  it('takes a schema, whose tables are typed', async () => {
    const college = createCollegeDB({ kv, shards, schema, tables: { posts: { key: 'userId' } } });
    expectTypeOf(await college.db.select().from(users)).toEqualTypeOf<{ id: string; name: string }[]>();
    expectTypeOf(await college.db.query.users.findFirst()).toEqualTypeOf<{ id: string; name: string } | undefined>();
    // @ts-expect-error: no such column
    createCollegeDB({ kv, shards, schema, tables: { posts: { key: 'userIdd' } } });
  });
});

describe('the functions', () => {
  it('give what D1 gives', async () => {
    expectTypeOf(await run('k', 'select 1')).toEqualTypeOf<D1Result<Record<string, unknown>>>();
    expectTypeOf(await first<{ id: string }>('k', 'select 1', ['x', 1, null])).toEqualTypeOf<{ id: string } | null>();
    expectTypeOf(await (await prepare('k', 'select 1')).bind('x').all<{ id: string }>()).toEqualTypeOf<
      D1Result<{ id: string }>
    >();
    expectTypeOf(await collegedb({ kv, shards }, () => 5)).toEqualTypeOf<number>();
    expectTypeOf(await collegedb({ kv, shards }, async () => 'x')).toEqualTypeOf<string>();
    expectTypeOf(await discoverExistingPrimaryKeys(d1, 'users')).toEqualTypeOf<string[]>();
    for await (const key of discoverExistingPrimaryKeys(d1, 'users')) expectTypeOf(key).toEqualTypeOf<string>();
    expectTypeOf(await new KVShardMapper(kv).getShardMapping('k')).toEqualTypeOf<ShardMapping | null>();
  });
});
