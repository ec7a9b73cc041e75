import { env } from 'cloudflare:workers';
import { MAX_SHARDS, plain, renewShards, shards } from './shards';

/**
 * Empties all databases, schema included, and the KV namespace. For `beforeEach`.
 *
 * It drops what is there instead of calling the plugin's `reset()`: that ends the databases' objects, and D1 repeats a
 * statement that meets one which is ending, so that a CREATE TABLE right after it now and then ran twice.
 */
export async function resetDatabases(): Promise<void> {
  renewShards();
  await Promise.all([emptyKv(), ...[plain, ...Object.values(shards(MAX_SHARDS))].map(emptyDatabase)]);
}

async function emptyDatabase(database: D1Database): Promise<void> {
  const { results } = await database
    .prepare(
      // Virtual tables first: they take their shadow tables along.
      `select type, name from sqlite_master where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\'
       and name not like '\\_cf\\_%' escape '\\' order by type = 'table', sql like 'create virtual%' desc`,
    )
    .all<{ type: string; name: string }>();
  if (results.length === 0) return;
  const drops = results.map(({ type, name }) => `drop ${type} if exists "${name.replaceAll('"', '""')}"`);
  await database.batch(['pragma defer_foreign_keys = on', ...drops].map((sql) => database.prepare(sql)));
}

async function emptyKv(): Promise<void> {
  const { keys } = await env.KV.list();
  await Promise.all(keys.map(({ name }) => env.KV.delete(name)));
}
