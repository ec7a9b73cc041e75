import { env } from 'cloudflare:workers';
import { emptyDatabase, emptyKv } from '../../src/testing/empty';
import { MAX_SHARDS, plain, renewShards, shards } from './shards';

/**
 * Empties all databases, schema included, and the KV namespace. For `beforeEach`.
 *
 * It drops what is there instead of calling the plugin's `reset()`: that ends the databases' objects, and D1 repeats a
 * statement that meets one which is ending, so that a CREATE TABLE right after it now and then ran twice.
 */
export async function resetDatabases(): Promise<void> {
  renewShards();
  await Promise.all([emptyKv(env.KV), ...[plain, ...Object.values(shards(MAX_SHARDS))].map(emptyDatabase)]);
}
