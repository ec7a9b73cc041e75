import { expectTypeOf, test } from 'vitest';
import { inspectShards, migrateShards, shardedDrizzle } from '../../src';

const db = shardedDrizzle({ shards: { east: {} as D1Database, west: {} as D1Database } });

test('shards have their names', () => {
  expectTypeOf(migrateShards(db, {}))
    .resolves.toHaveProperty('shards')
    .items.toHaveProperty('shard')
    .toEqualTypeOf<'east' | 'west'>();
  expectTypeOf(db.$cluster.schemaVersion())
    .resolves.toHaveProperty('shards')
    .items.toHaveProperty('shard')
    .toEqualTypeOf<'east' | 'west'>();
  expectTypeOf(inspectShards(db, {}))
    .resolves.toHaveProperty('shards')
    .items.toHaveProperty('shard')
    .toEqualTypeOf<'east' | 'west'>();
  migrateShards(db, {}, { canary: 'west' });
  // @ts-expect-error There is no such shard.
  migrateShards(db, {}, { canary: 'south' });
});
