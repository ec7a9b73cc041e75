import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { testCluster } from '../../src/testing/workerd';
import { clusterCases } from './cases';
import { folderBundle, journalBundle, people, schema, tables, users } from './schema';

describe('in workerd', () => {
  clusterCases(() =>
    testCluster({
      shards: { 's-0': env.DB_0, 's-1': env.DB_1, 's-2': env.DB_2 },
      schema,
      tables,
      migrations: journalBundle,
    }),
  );

  it('takes bindings by the names of shards', async () => {
    const cluster = await testCluster({
      shards: ['db-3', 'db-4'],
      schema,
      tables,
      migrations: folderBundle,
      seed: (db) => db.insert(users).values(people),
    });
    expect(cluster.shards['db-3'].database).toBe(env.DB_3);
    expect(await cluster.db.select().from(users)).toHaveLength(people.length);
    expect(cluster.calls.shards).toEqual(['db-3', 'db-4']);
  });

  it('takes bindings and migrations from an env', async () => {
    const own = { SHARD_0: env.DB_5, SHARD_1: env.DB_6, SHARD_MIGRATIONS: journalBundle };
    const cluster = await testCluster({ env: own, shards: 2, schema, tables, kv: false, coordinator: false });
    expect((await cluster.db.$cluster.schemaVersion()).same).toBe(true);
    expect(cluster.bindings.kv).toBeUndefined();
    expect(
      await env.DB_5.prepare("select 1 as yes from sqlite_master where name glob '_shard_catalog_*'").first('yes'),
    ).toBe(1);
  });

  it('says what is missing', async () => {
    await expect(testCluster({ shards: 2, schema })).rejects.toThrow('There is no binding SHARD_0.');
    await expect(testCluster({ shards: ['db-0'], env: { DB_0: env.DB_0 } })).rejects.toThrow('no binding KV.');
    await expect(testCluster({ shards: ['db-0'], migrations: './drizzle' })).rejects.toThrow('no folder ./drizzle');
    await expect(testCluster({ shards: 0 })).rejects.toThrow('These are no shards for a test: 0.');
  });
});
