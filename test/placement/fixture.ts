import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { type ShardedConfig, shardedDrizzle } from '../../src';
import type { Isolate } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { MAX_SHARDS, shards } from '../support/shards';

/** Its own key. */
export const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() });
/** Children of users, with an integer primary key that is not the shard key. */
export const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id').notNull(),
  body: text('body'),
});
/** Another table of the same keyspace. */
export const orders = sqliteTable('orders', { id: text('id').primaryKey(), total: integer('total') });
/** An integer primary key that is the shard key. */
export const tickets = sqliteTable('tickets', { id: integer('id').primaryKey(), title: text('title') });

const ddl = [
  'create table users (id text primary key, name text not null)',
  'create table posts (id integer primary key, user_id text not null, body text)',
  'create table orders (id text primary key, total integer)',
  'create table tickets (id integer primary key, title text)',
];

export const schema = { users, posts, orders, tickets };
export const tables = { posts: { key: 'userId' } } as const;

/** The tables of the schema, and `more`, on every database, and nothing else. */
export async function migrated(more: readonly string[] = []): Promise<void> {
  await resetDatabases();
  await runEverywhere(shards(MAX_SHARDS), [...ddl, ...more]);
}

type Options = Omit<ShardedConfig<typeof schema>, 'schema' | 'shards' | 'tables'>;

/** A database object as an isolate makes it. */
export const open = (isolate: Pick<Isolate, 'config'>, options: Options = {}) =>
  shardedDrizzle({ ...isolate.config, schema, tables, ...options });

export type Database = ReturnType<typeof open>;

/** What a promise rejects with, without Drizzle's wrapper; a failure when it does not. */
export async function failureOf(promise: PromiseLike<unknown>): Promise<Error & { readonly code?: string }> {
  const settled = await Promise.resolve(promise).then(
    (value) => ({ value }),
    (error: Error & { readonly cause?: Error }) => ({ error }),
  );
  if ('value' in settled) throw new Error(`Expected a failure, got ${JSON.stringify(settled.value)}`);
  const { error } = settled;
  return error.name === 'DrizzleQueryError' || error.message.startsWith('Failed query')
    ? (error.cause as Error)
    : error;
}

/** `count` keys of the same beginning: `u0`, `u1`, ... */
export const keysOf = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
