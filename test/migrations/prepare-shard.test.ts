import { beforeEach, expect, it } from 'vitest';
import { migrateShards, shardedDrizzle } from '../../src';
import { readyCluster } from '../../src/migrations/cluster-of';
import { prepareShard } from '../../src/migrations/prepare-shard';
import { TestShard } from '../../src/testing';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { bundleOf, FILES } from './fixture';

beforeEach(resetDatabases);

it.each(['after', 'before'] as const)(
  'a shard that is to join gets its migrations once, the answer lost %s the work',
  async (when) => {
    const [[one, first], [two, second]] = Object.entries(shards(2)) as [[string, D1Database], [string, D1Database]];
    await migrateShards(shardedDrizzle({ shards: { [one]: first } }), bundleOf(FILES));
    const joining = new TestShard(two, second);
    const fault = joining.fail({ on: 'insert into "__drizzle_migrations"', times: 1, when });
    const db = shardedDrizzle({ shards: { [one]: first, [two]: joining.binding(() => {}) } });
    const applied = await prepareShard(readyCluster(db, 'the test'), bundleOf(FILES), two);
    expect(applied).toEqual(FILES.map(([tag]) => tag));
    expect(fault.hits).toBe(1);
    expect(await second.prepare('select count(*) as n from __drizzle_migrations').first('n')).toBe(FILES.length);
    expect(await prepareShard(readyCluster(db, 'the test'), bundleOf(FILES), two)).toEqual([]);
  },
);
