import { env } from 'cloudflare:workers';
import { expectTypeOf, test } from 'vitest';
import { type ShardName, testCluster } from '../../src/testing/workerd';
import { schema, users } from '../testing/schema';

test('a number of shards has names', async () => {
  const cluster = await testCluster({ shards: 3, schema, tables: { posts: { key: 'userId' } } });
  expectTypeOf<keyof typeof cluster.shards>().toEqualTypeOf<'shard-0' | 'shard-1' | 'shard-2'>();
  expectTypeOf(cluster.calls.shards).toEqualTypeOf<('shard-0' | 'shard-1' | 'shard-2')[]>();
  expectTypeOf<ShardName<number>>().toEqualTypeOf<`shard-${number}`>();
  // @ts-expect-error There is no fourth one.
  cluster.shards['shard-3'].heal();
});

test('shards have the names that are given', async () => {
  const { shards, db, calls, shardOf } = await testCluster({ shards: ['east', 'west'], schema });
  expectTypeOf<keyof typeof shards>().toEqualTypeOf<'east' | 'west'>();
  expectTypeOf(shardOf).returns.resolves.toHaveProperty('name').toEqualTypeOf<'east' | 'west'>();
  expectTypeOf(shards.west.name).toEqualTypeOf<'west'>();
  expectTypeOf(db.$cluster.reassign).parameter(1).toEqualTypeOf<'east' | 'west'>();
  // @ts-expect-error There is no such shard.
  calls.of('south');
  const bound = await testCluster({ shards: { north: env.DB_0 } });
  expectTypeOf<keyof typeof bound.bindings.shards>().toEqualTypeOf<'north'>();
});

test('the db is that of the schema', async () => {
  const { db } = await testCluster({
    shards: ['east'],
    schema,
    seed: (seeded) => seeded.insert(users).values({ id: 'a', name: 'Ada' }),
  });
  expectTypeOf(await db.select().from(users)).toEqualTypeOf<{ id: string; name: string }[]>();
  expectTypeOf(await db.query.users.findFirst()).toEqualTypeOf<{ id: string; name: string } | undefined>();
});

test('rules are those of the schema and of the shards', () => {
  testCluster({ shards: ['east'], schema, tables: { countries: { shard: 'east' } } });
  // @ts-expect-error There is no such column.
  testCluster({ shards: 2, schema, tables: { posts: { key: 'user' } } });
  // @ts-expect-error There is no such shard.
  testCluster({ shards: 2, schema, tables: { countries: { shard: 'shard-2' } } });
  // @ts-expect-error There is no such table.
  testCluster({ shards: 2, schema, tables: { people: { replicated: true } } });
  // @ts-expect-error There is no such fault.
  testCluster({ shards: 1 }).then(({ shards }) => shards['shard-0'].fail({ error: 'tired' }));
});
