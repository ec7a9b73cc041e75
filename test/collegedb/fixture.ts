import { env } from 'cloudflare:workers';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { type CollegeDBConfig, clearMigrationCache, resetConfig } from '../../src/collegedb';
import { resetDatabases } from '../support/reset';
import { run, runEverywhere } from '../support/seed';
import { shards } from '../support/shards';

export const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name'), email: text('email') });
export const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id'), body: text('body') });
export const schema = { users, posts };

/** A table of any name. */
export const tickets = sqliteTable('tickets', { id: integer('id').primaryKey(), title: text('title') });

export const DDL = [
  'create table users (id text primary key, name text, email text)',
  'create table posts (id text primary key, user_id text, body text)',
  'create table tickets (id integer primary key, title text)',
];

/** Three databases with CollegeDB's names, each with the tables and nothing else. */
export async function fresh(
  names: readonly string[] = ['db-east', 'db-west', 'db-central'],
  ddl: readonly string[] = DDL,
): Promise<Record<string, D1Database>> {
  resetConfig();
  clearMigrationCache();
  await resetDatabases();
  const databases = Object.values(shards(names.length));
  await runEverywhere(shards(names.length), ddl);
  return Object.fromEntries(names.map((name, i) => [name, databases[i] as D1Database]));
}

type Config = CollegeDBConfig<Record<string, unknown>, string>;

/** CollegeDB's configuration as its users write it, of a cluster of its own. */
export const configOf = (databases: Record<string, D1Database>, more: Partial<Config> = {}): Config => ({
  kv: env.KV,
  shards: databases,
  ...more,
});

/** On which databases a statement gives a row. */
export async function whereIs(databases: Record<string, D1Database>, sql: string): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(databases).map(async ([name, d1]) => ((await d1.prepare(sql).first()) ? [name] : [])),
  );
  return found.flat();
}

/** Every value of a KV namespace by its name. */
export async function kvContents(prefix = ''): Promise<Record<string, string | null>> {
  const { keys } = await env.KV.list({ prefix });
  const entries = await Promise.all(keys.map(async ({ name }) => [name, await env.KV.get(name)] as const));
  return Object.fromEntries(entries);
}

/** Every table of a database with all its rows. */
export async function contents(d1: D1Database): Promise<unknown> {
  const { results } = await d1
    .prepare("select name, sql from sqlite_master where name not like '\\_cf%' escape '\\' order by name")
    .all<{ name: string }>();
  const rows = await Promise.all(
    results.map(({ name }) =>
      d1
        .prepare(`select * from "${name.replaceAll('"', '""')}"`)
        .all()
        .then(
          (found) => found.results,
          () => null,
        ),
    ),
  );
  return { results, rows };
}

export { run as seed };
