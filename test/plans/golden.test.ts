import { integer, numeric, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ShardedDrizzleError, shardedDrizzle } from '../../src';
import { runEverywhere } from '../support/seed';
import { shards } from '../support/shards';
import { tables as ddl } from './fuzz-fixture';

declare global {
  interface ImportMeta {
    /** Vite's; its own types would bring those of the browser. */
    glob<T>(pattern: string, options: { query: string; import: string; eager: true }): Record<string, T>;
  }
}

/**
 * The printed plan of many statements. Each file in `golden/` holds cases:
 *
 *     ### title
 *     select * from users where id = ?
 *     params ["u1"]
 *     on one shard
 *     ---
 *     the plan
 *
 * `params` and `on one shard` may be left out. To add a case, write it without its plan; `npm test -- test/plans -u` writes
 * the plans of all files anew. Check by reasoning that a new plan is right wherever the rows are.
 */
const files = import.meta.glob<string>('./golden/*.txt', { query: '?raw', import: 'default', eager: true });

const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  age: integer('age'),
});
const posts = sqliteTable('posts', {
  id: text('id').primaryKey(),
  userId: text('user_id').notNull(),
  title: text('title'),
});
const orders = sqliteTable(
  'orders',
  { id: integer('id').primaryKey(), userId: text('user_id').notNull(), total: numeric('total'), code: text('code') },
  (table) => [uniqueIndex('orders_code').on(table.userId, table.code)],
);
const numbers = sqliteTable('numbers', { id: integer('id').primaryKey(), v: text('v') });
const accounts = sqliteTable('accounts', { id: text('id').primaryKey(), email: text('email').unique() });
const audits = sqliteTable('audits', { id: text('id').primaryKey(), note: text('note') });
const countries = sqliteTable('countries', { code: text('code').primaryKey(), name: text('name') });
const settings = sqliteTable('settings', { id: text('id').primaryKey(), v: text('v') });
const schema = { users, posts, orders, numbers, accounts, audits, countries, settings };

const database = (count: number) =>
  shardedDrizzle({
    schema,
    shards: shards(count),
    tables: {
      posts: { key: 'userId' },
      orders: { key: 'userId' },
      audits: { keyspace: 'audit' },
      countries: { replicated: true },
      settings: { shard: 's0' },
    },
  });
const databases = { one: database(1), three: database(3) };

async function printed(sql: string, params: readonly unknown[], on: keyof typeof databases): Promise<string> {
  try {
    return (await databases[on].$explain({ sql, params })).text;
  } catch (error) {
    const { code, message } = error as ShardedDrizzleError;
    return `refused with ${code}\n  ${message}`;
  }
}

beforeAll(async () => {
  await runEverywhere(shards(3), ddl);
  await databases.three.$cluster.shards();
  // On each shard, so that it is there wherever it is looked for.
  await runEverywhere(shards(3), ["insert into users (id, name) values ('u1', 'A')"]);
});

/** The text of a file with every plan made anew. */
async function renew(file: string): Promise<string> {
  const blocks = file.split(/^### /m).filter((block) => block.trim() !== '');
  const written = blocks.map(async (block) => {
    const [asked = ''] = block.split(/^---$/m);
    const [title = '', ...lines] = asked.trimEnd().split('\n');
    const params = lines.find((line) => line.startsWith('params ')) ?? 'params []';
    const sql = lines.filter((line) => !/^(params |on one shard$)/.test(line)).join('\n');
    const values = JSON.parse(params.slice('params '.length)) as unknown[];
    const plan = await printed(sql, values, lines.includes('on one shard') ? 'one' : 'three');
    return `### ${[title, ...lines].join('\n')}\n---\n${plan}\n`;
  });
  return (await Promise.all(written)).join('\n');
}

describe('the plans in', () => {
  it.each(Object.keys(files))('%s', async (path) => {
    await expect(await renew(files[path] as string)).toMatchFileSnapshot(path);
  });

  it('all files are of at least 80 statements', () => {
    expect(Object.values(files).join('\n').match(/^### /gm)?.length).toBeGreaterThanOrEqual(80);
  });
});
