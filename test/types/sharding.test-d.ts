import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { expectTypeOf, test } from 'vitest';
import { bindSharding, defineSharding, shardedDrizzle } from '../../src';
import type { CoordinatorNamespace } from '../../src/catalog/coordinator-client';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name') });
const posts = sqliteTable('posts', { id: integer('id').primaryKey(), userId: text('user_id') });
const schema = { users, posts };
const shards = { east: 'DB_EAST' } as const;

interface Env {
  DB_EAST: D1Database;
  DB_WEST: D1Database;
  KV: KVNamespace;
  COORDINATOR: CoordinatorNamespace;
  SECRET: string;
}
declare const env: Env;

test('a configuration of names, with its bindings, is one of shardedDrizzle', () => {
  const sharding = defineSharding({
    schema,
    shards: { east: 'DB_EAST', west: 'DB_WEST' },
    kv: 'KV',
    coordinator: 'COORDINATOR',
    tables: { posts: { key: 'userId' }, users: { keyspace: 'people' } },
    strategy: { people: (_key, all) => all[0]?.name ?? 'east', default: 'hash' },
    shardLocations: { east: 'enam' },
    shardWeights: { west: 2 },
  });
  const db = shardedDrizzle(bindSharding(sharding, env));
  expectTypeOf(db.select().from(users).all()).resolves.toEqualTypeOf<{ id: string; name: string | null }[]>();
  expectTypeOf(db.query).toHaveProperty('posts');
  expectTypeOf(db.$shard).parameter(0).toEqualTypeOf<'east' | 'west'>();
  shardedDrizzle({ ...bindSharding(defineSharding({ schema, shards }), env), logger: true });
  // Also one that has not gone through defineSharding.
  expectTypeOf(shardedDrizzle(bindSharding({ schema, shards, kv: 'KV' }, env)).query).toHaveProperty('users');
  const plain = { schema, shards };
  expectTypeOf(shardedDrizzle(bindSharding(plain, env)).query).toHaveProperty('users');
});

test('a wrong one is no configuration', () => {
  // @ts-expect-error no column
  defineSharding({ schema, shards, tables: { posts: { key: 'nope' } } });
  // @ts-expect-error no table
  defineSharding({ schema, shards, tables: { nope: { key: 'id' } } });
  // @ts-expect-error no shard
  defineSharding({ schema, shards, tables: { users: { shard: 'north' } } });
  // @ts-expect-error no shard
  defineSharding({ schema, shards, control: 'north' });
  // @ts-expect-error no option
  defineSharding({ schema, shards, tabels: {} });
  // @ts-expect-error no strategy
  defineSharding({ schema, shards, strategy: 'hsah' });
  // @ts-expect-error the binding itself
  defineSharding({ schema, shards: { east: env.DB_EAST } });
});

test('nor is an environment that lacks a binding, or has another one', () => {
  // @ts-expect-error no binding
  bindSharding(defineSharding({ schema, shards: { east: 'DB_NORTH' } }), env);
  // @ts-expect-error no database
  bindSharding(defineSharding({ schema, shards: { east: 'SECRET' } }), env);
  // @ts-expect-error no namespace
  bindSharding(defineSharding({ schema, shards, kv: 'SECRET' }), env);
  // @ts-expect-error no coordinator
  bindSharding(defineSharding({ schema, shards, coordinator: 'KV' }), env);
  // @ts-expect-error no binding
  bindSharding(defineSharding({ schema, shards, kv: 'MISSING' }), env);
});
