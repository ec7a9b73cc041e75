import { eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { PartialWriteError, shardedD1, shardedDrizzle } from '../../src';
import { countingShards } from '../support/counting-d1';
import { faultyD1 } from '../support/faulty-d1';
import { resetDatabases } from '../support/reset';
import { MAX_SHARDS, plain, shards } from '../support/shards';
import {
  contents,
  expectSame,
  failureOf,
  makeWorld,
  oneShard,
  type Rules,
  standardWorld,
  threeShards,
  type World,
} from './support';

let world: World;

describe('failures', () => {
  const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name'), age: integer('age') });

  beforeEach(async () => {
    world = await makeWorld(
      [
        'create table users (id text primary key, name text not null, age integer check (age < 100))',
        'create table posts (id text primary key, user_id text references users (id), n integer)',
        'create table countries (code text primary key, name text unique)',
      ],
      [`insert into users (id, name) values ${Array.from({ length: 12 }, (_, i) => `('u${i}', 'n${i}')`).join(', ')}`],
      { posts: { key: 'user_id' }, countries: { replicated: true } },
    );
  });

  it.each([
    ['users', "insert into users (id, name) values ('k1', 'x'), ('k2', 'x'), ('k3', 'x'), ('u4', 'x'), ('k5', 'x')"],
    ['users', "insert into users (id, name) values ('k1', 'x'), ('k2', 'x'), ('k3', 'x'), ('k4', null), ('k5', 'x')"],
    [
      'posts',
      "insert into posts (id, user_id) values ('a', 'u1'), ('b', 'u2'), ('c', 'u3'), ('d', 'none'), ('e', 'u4')",
    ],
    ['users', "update users set age = case id when 'u3' then 1000 else 1 end"],
  ])('of a constraint on one shard leave %s as it was on all, unless rehearsing is off: %s', async (table, text) => {
    expect((await failureOf(plain.prepare(text).run())).message).toContain('constraint failed');
    const before = await contents(threeShards, table);
    const error = await failureOf(world.three.prepare(text).run());
    expect(error.code).toBe('SHARD_QUERY');
    expect(error.message).toContain('constraint failed');
    expect(await contents(threeShards, table)).toEqual(before);

    const hasty = shardedD1({ shards: threeShards, tables: world.rules, rehearseWrites: false });
    const partial = await failureOf(hasty.prepare(text).run());
    expect(partial).toBeInstanceOf(PartialWriteError);
    const { applied, failed } = partial as unknown as PartialWriteError;
    expect(partial).toMatchObject({ code: 'PARTIAL_WRITE' });
    expect([...applied, ...failed].map(({ shard }) => shard).sort()).toEqual(['s0', 's1', 's2']);
    expect(applied.reduce((sum, { changes }) => sum + (changes ?? 0), 0)).toBeGreaterThan(0);
    expect(failed[0]?.error?.message).toContain('constraint failed');
    expect((partial.cause as Error).message).toContain('constraint failed');
  });

  it('of a foreign key on one shard leave a replicated parent alike on all', async () => {
    const rules: Rules = { posts: { key: 'user_id' }, countries: { replicated: true } };
    const d1 = shardedD1({ shards: threeShards, tables: rules });
    await d1.exec(
      'drop table posts\ncreate table posts (id text primary key, user_id text, country text references countries (code))',
    );
    await d1.prepare("insert into countries (code) values ('de'), ('fr')").run();
    await d1.prepare("insert into posts (id, user_id, country) values ('p', 'u1', 'de')").run();
    const error = await failureOf(d1.prepare('delete from countries').run());
    expect(error.message).toContain('FOREIGN KEY');
    for (const database of Object.values(threeShards))
      expect(await contents({ database }, 'countries')).toHaveLength(2);
  });

  it('of a keyed write are the error of D1, with the name of the shard', async () => {
    const text = "insert into users (id, name) values ('u3', 'again')";
    const own = await failureOf(plain.prepare(text).run());
    const error = await failureOf(world.three.prepare(text).run());
    expect(error.code).toBe('SHARD_QUERY');
    expect(error.message.startsWith(own.message)).toBe(true);
    expect(Object.keys(threeShards)).toContain(error.shard);
    expect((error.cause as Error).message).toBe(own.message);
  });

  it('of a write to a replicated table leave all replicas alike', async () => {
    const text = "insert into countries (code, name) values ('de', 'a'), ('fr', 'a')";
    expect((await failureOf(world.three.prepare(text).run())).message).toContain('UNIQUE');
    for (const database of Object.values(threeShards)) expect(await contents({ database }, 'countries')).toEqual([]);
    // The rehearsal passes; the write itself meets an outage.
    let inserts = 0;
    const broken = faultyD1(threeShards.s2 as D1Database, {
      failOn: (statement) =>
        statement.startsWith('insert into countries') && ++inserts > 1 ? new Error('D1_ERROR: overloaded') : undefined,
    });
    const all: Record<string, D1Database> = { ...threeShards, s2: broken };
    const d1 = shardedD1({ shards: all, tables: world.rules });
    const error = await failureOf(d1.prepare("insert into countries (code) values ('de')").run());
    expect(error.code).toBe('PARTIAL_WRITE');
    expect((error as unknown as PartialWriteError).failed.map(({ shard }) => shard)).toEqual(['s2']);
  });

  it.each([
    'select id from users order by id',
    'select count(*) from users',
    'select a.id from users a join users b on a.id > b.id',
  ])('of one shard in a read are thrown, never left out: %s', async (read) => {
    const broken = faultyD1(threeShards.s1 as D1Database, {
      failOn: (statement) =>
        statement.includes('users') ? new Error('D1_ERROR: Network connection lost.') : undefined,
    });
    const error = await failureOf(
      shardedD1({ shards: { ...threeShards, s1: broken } })
        .prepare(read)
        .all(),
    );
    expect(error).toMatchObject({ code: 'SHARD_QUERY', shard: 's1' });
    expect(error.message).toContain('Network connection lost');
  });

  it('are the cause of the error of Drizzle', async () => {
    const db = shardedDrizzle({ schema: { users }, shards: threeShards });
    const error = await failureOf(db.update(users).set({ id: 'other' }).where(eq(users.id, 'u1')).run());
    expect(error.cause).toMatchObject({ code: 'SHARD_KEY_CHANGE', name: 'ShardKeyChangeError', tables: ['users'] });
    const duplicate = await failureOf(db.insert(users).values({ id: 'u1', name: 'x' }).run());
    expect(duplicate.cause).toMatchObject({ code: 'SHARD_QUERY' });
    const unknown = await failureOf(db.all(sql`select * from nosuch`));
    expect(unknown.cause ?? unknown).toMatchObject({ code: 'UNKNOWN_TABLE', tables: ['nosuch'] });
  });
});

describe('concurrency', () => {
  it.each([
    [undefined, 6],
    [2, 2],
    [1, 1],
  ])('%s: at most %i statements are under way', async (concurrency, most) => {
    await resetDatabases();
    const counted = countingShards(shards(MAX_SHARDS));
    for (const database of Object.values(counted.shards))
      await database.prepare('create table if not exists things (id text primary key, v integer)').run();
    const d1 = shardedD1({ shards: counted.shards, ...(concurrency === undefined ? {} : { concurrency }) });
    await d1.prepare('select 1 from things').all();
    counted.total.reset();
    const rows = Array.from({ length: 60 }, (_, i) => `('t${i}', ${i})`).join(', ');
    await d1.prepare(`insert or replace into things (id, v) values ${rows}`).run();
    await d1.prepare('select * from things order by v').all();
    await d1.prepare('select count(*) from things a join things b on a.v > b.v').all();
    await d1.prepare('update things set v = 1 where v = (select max(v) from things)').run();
    await d1.prepare('delete from things').run();
    expect(counted.total.maxInFlight).toBe(most);
  });
});

it('one shard runs a statement untouched, in one round trip', async () => {
  world = await standardWorld();
  const counted = countingShards(oneShard);
  const d1 = shardedD1({ shards: counted.shards, tables: world.rules });
  const text = 'select u.id, count(*) over () from users u where u.age > ? -- as written';
  await d1.prepare(text).bind(1).all();
  counted.total.reset();
  await d1.prepare(text).bind(1).all();
  expect(counted.total.sql).toEqual([text]);
  await expectSame(world, text, 1);
});
