import { reset } from 'cloudflare:test';

/** Empties all databases, schema included, and the KV namespace. For `beforeEach`. */
export async function resetDatabases(): Promise<void> {
  await reset();
}
