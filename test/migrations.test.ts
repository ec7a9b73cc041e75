import { beforeEach, expect, it } from 'vitest';
import { shardedD1 } from '../src';
import { resetDatabases } from './support/reset';
import { rowsPerShard } from './support/seed';
import { shards } from './support/shards';

beforeEach(resetDatabases);

const three = shards(3);

/** The statements that Drizzle's migrate() sends for one migration: one batch, its ledger entry last. */
const migrate = (d1: D1Database, hash: string, ...statements: string[]) =>
  d1.batch([
    ...statements.map((sql) => d1.prepare(sql)),
    d1.prepare('insert into "__drizzle_migrations" ("hash", "created_at") values (?, ?)').bind(hash, 1),
  ]);

const ledger =
  'create table if not exists __drizzle_migrations (id integer primary key, hash text not null, created_at numeric)';

it('a migration reaches every shard, and the ledger of each', async () => {
  const d1 = shardedD1({ shards: three });
  await d1.prepare(ledger).run();
  await migrate(d1, 'first', 'create table users (id text primary key, name text)');
  await d1.batch(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => d1.prepare('select * from users where id = ?').bind(id)));
  for (const shard of Object.values(three)) {
    expect(await shard.prepare('select hash from __drizzle_migrations').raw()).toEqual([['first']]);
  }
  expect(await d1.prepare('select count(*) from __drizzle_migrations').first('count(*)')).toBe(1);
});

it('a table that a migration rebuilds keeps its rows where they are', async () => {
  const d1 = shardedD1({ shards: three });
  await d1.exec(`${ledger}\ncreate table users (id text primary key, name text)`);
  const ids = Array.from({ length: 30 }, (_, i) => `u${i}`);
  await d1.prepare(`insert into users values ${ids.map((id) => `('${id}', 'n')`).join(', ')}`).run();
  const before = await rowsPerShard(three, 'users');
  await migrate(
    d1,
    'second',
    'pragma foreign_keys=off',
    'create table __new_users (id text primary key, name text not null)',
    'insert into __new_users (id, name) select id, name from users',
    'drop table users',
    'alter table __new_users rename to users',
    'pragma foreign_keys=on',
    "update users set name = 'migrated'",
  );
  expect(await rowsPerShard(three, 'users')).toEqual(before);
  expect(await d1.prepare("select count(*) as n from users where name = 'migrated'").first('n')).toBe(30);
  expect(await d1.prepare('select id from users where id = ?').bind('u7').raw()).toEqual([['u7']]);
});

it('rows for a table that the batch makes are refused before anything runs', async () => {
  const d1 = shardedD1({ shards: three });
  const batch = [d1.prepare('create table t (id text primary key)'), d1.prepare("insert into t values ('a')")];
  await expect(d1.batch(batch)).rejects.toMatchObject({ code: 'UNSUPPORTED_STATEMENT', tables: ['t'] });
  for (const shard of Object.values(three)) {
    expect(await shard.prepare("select count(*) as n from sqlite_master where name = 't'").first('n')).toBe(0);
  }
});
