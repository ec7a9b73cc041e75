import { customType, foreignKey, integer, primaryKey, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expect, it } from 'vitest';
import { ConfigError, type ShardedConfig, shardedD1, shardedDrizzle } from '../src';
import { shards } from './support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey() });
const nocase = customType<{ data: string }>({ dataType: () => 'text collate nocase' });
const bytes = customType<{ data: Uint8Array }>({ dataType: () => 'blob' });

/** The error that a configuration gives, as message and code. */
function refusal(config: unknown): ConfigError {
  try {
    shardedDrizzle(config as ShardedConfig);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was taken');
}

describe('a configuration that cannot work is refused when the database is made', () => {
  const three = shards(3);

  it.each([
    ['no shards', {}, /`shards` names no database.*Write shards:/],
    ['an empty list of shards', { shards: {} }, /`shards` names no database/],
    ['a missing binding', { shards: { a: undefined } }, /shards\['a'\] is no D1 database.*wrangler\.toml/],
    ['a name that JavaScript would reorder', { shards: { 7: three.s0 } }, /'7' cannot be a shard's name/],
    ['an unknown strategy', { shards: three, strategy: 'astrology' }, /strategy is 'astrology'.*'hash'/],
    ['a concurrency of nought', { shards: three, concurrency: 0 }, /concurrency is 0.*whole number/],
    ['a limit that is no number', { shards: three, limits: { gatherRows: Number.NaN } }, /limits\.gatherRows is NaN/],
    [
      'an unknown table',
      { shards: three, schema: { users }, tables: { user: {} } },
      /tables\.user.*Write one of: users/,
    ],
    [
      'an unknown column',
      { shards: three, schema: { users }, tables: { users: { key: 'idd' } } },
      /'idd', which is no column of users.*id/,
    ],
    [
      'an unknown shard',
      { shards: three, schema: { users }, tables: { users: { shard: 'x' } } },
      /is 'x', which is no shard.*s0, s1, s2/,
    ],
    [
      'two rules',
      { shards: three, schema: { users }, tables: { users: { replicated: true, shard: 's0' } } },
      /more than one of key, replicated and shard/,
    ],
  ])('%s', (_name, config, message) => {
    const error = refusal(config);
    expect(error.message).toMatch(message);
    expect(error.code).toBe('CONFIG');
    expect(error.remedy).toBeTruthy();
  });

  it.each([
    ['no primary key', sqliteTable('t', { a: text('a') }), /Table t has no usable shard key: it has no primary key/],
    [
      'a composite key',
      sqliteTable('t', { a: text('a'), b: text('b') }, (t) => [primaryKey({ columns: [t.a, t.b] })]),
      /composite \(a, b\)/,
    ],
    ['a blob key', sqliteTable('t', { a: bytes('a').primaryKey() }), /a is blob/],
    ['a real key', sqliteTable('t', { a: real('a').primaryKey() }), /a is real/],
    ['a key with COLLATE', sqliteTable('t', { a: nocase('a').primaryKey() }), /a has COLLATE NOCASE/],
  ])('a table with %s', (_name, table, message) => {
    const error = refusal({ shards: three, schema: { t: table } });
    expect(error.message).toMatch(message);
    expect(error.tables).toEqual(['t']);
    expect(error.remedy).toMatch(/tables: \{ t: \{ key: .*replicated: true.*shard:/);
    // Each way out that the message names is one.
    expect(() => shardedD1({ shards: three, schema: { t: table }, tables: { t: { replicated: true } } })).not.toThrow();
    expect(() => shardedD1({ shards: three, schema: { t: table }, tables: { t: { shard: 's1' } } })).not.toThrow();
  });

  it('a foreign key that crosses shards, and none that does not', () => {
    const posts = sqliteTable('posts', {
      id: text('id').primaryKey(),
      userId: text('user_id').references(() => users.id),
    });
    const schema = { users, posts };
    const error = refusal({ shards: three, schema });
    expect(error.message).toMatch(/posts\(user_id\) → users\(id\) crosses shards/);
    expect(error.tables).toEqual(['posts', 'users']);
    for (const tables of [
      { posts: { key: 'userId' } },
      { users: { replicated: true } },
      { users: { shard: 's0' }, posts: { shard: 's0' } },
    ]) {
      expect(() => shardedDrizzle({ shards: three, schema, tables } as ShardedConfig)).not.toThrow();
    }
    for (const tables of [
      { users: { shard: 's0' } },
      { posts: { replicated: true } },
      { posts: { key: 'userId', keyspace: 'other' } },
    ]) {
      expect(refusal({ shards: three, schema, tables }).message).toMatch(/crosses shards/);
    }
  });

  it('a foreign key of a table to itself', () => {
    const people = sqliteTable('people', { id: integer('id').primaryKey(), boss: integer('boss') }, (t) => [
      foreignKey({ columns: [t.boss], foreignColumns: [t.id] }),
    ]);
    expect(refusal({ shards: three, schema: { people } }).message).toMatch(
      /people\(boss\) → people\(id\) crosses shards/,
    );
  });

  it('a rule for a table outside the schema is checked when the table is first seen', async () => {
    const d1 = shardedD1({ shards: three, tables: { loose: { key: 'nope' } } });
    await d1.exec('create table loose (id text primary key)');
    await expect(d1.prepare('select * from loose').all()).rejects.toMatchObject({ code: 'CONFIG', tables: ['loose'] });
  });
});
