import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { InterceptedD1 } from '../../src/testing';
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

  it('is emptied whatever refers to what, and whatever a trigger does', async () => {
    const cluster = await testCluster({ shards: ['db-3'], kv: false, coordinator: false });
    const { database } = cluster.shards['db-3'];
    const statements = [
      'create table log (line text)',
      'create table users (id integer primary key)',
      'create table posts (id integer primary key, author integer references users (id) on delete set null)',
      'create table likes (who integer references users (id), post integer references posts (id) on delete cascade)',
      'create table a (b integer references b (id), c integer references c (id) on delete cascade)',
      'create table b (id integer primary key, a integer references a (c) on delete cascade)',
      'create table c (id integer primary key, a integer references a (c))',
      'create trigger logged after delete on likes begin insert into log values (old.who); end',
      'create virtual table search using fts5(line)',
      'create view liked as select * from likes',
      'insert into users values (1)',
      'insert into posts values (1, 1)',
      'insert into likes values (1, 1)',
    ];
    await database.batch(statements.map((sql) => database.prepare(sql)));
    await cluster.reset();
    const { results } = await database
      .prepare("select name from sqlite_master where name not glob '[_s][_cfsq]*' order by name")
      .all();
    expect(results).toEqual([]);
  });

  it('drops nothing of a database that is not of this machine', async () => {
    await env.DB_4.exec('create table precious (id)');
    const remote = new InterceptedD1(env.DB_4, async (_call, run) => {
      const result = await run();
      for (const one of [result].flat() as D1Result[]) one.meta.served_by_region = 'WEUR';
      return result;
    });
    await env.KV.put('sharded-drizzle:default:precious', '1');
    await expect(testCluster({ shards: { 'db-4': remote } })).rejects.toThrow('every table of a database in WEUR');
    expect(await env.DB_4.prepare('select count(*) as n from precious').first('n')).toBe(0);
    expect(await env.KV.get('sharded-drizzle:default:precious')).toBe('1');
    await env.DB_4.exec('drop table precious');
  });

  it('says what is missing', async () => {
    await expect(testCluster({ shards: 2, schema })).rejects.toThrow('There is no binding SHARD_0.');
    await expect(testCluster({ shards: ['db-0'], env: { DB_0: env.DB_0 } })).rejects.toThrow('no binding KV.');
    await expect(testCluster({ shards: ['db-0'], migrations: './drizzle' })).rejects.toThrow('no folder ./drizzle');
    await expect(testCluster({ shards: 0 })).rejects.toThrow('These are no shards for a test: 0.');
  });
});
