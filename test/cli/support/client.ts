import { RemoteClient } from '../../../src/cli/remote/client';
import { httpD1 } from '../../../src/cli/remote/http-d1';
import type { Pace } from '../../../src/cli/remote/paced-fetch';
import type { D1ApiServer } from './d1-api-server.ts';

/** A client of the server that may ask as often as it likes. */
export function clientOf({ url, accountId, apiToken }: D1ApiServer, pace: Partial<Pace> = {}): RemoteClient {
  const fast = { requests: 100_000, windowMs: 1000, timeoutMs: 5000, refusedMs: 50 };
  return new RemoteClient({ baseURL: url, accountId, apiToken }, { ...fast, ...pace });
}

/** The server's databases over HTTP, by their names. */
export function shardsOf(server: D1ApiServer, pace: Partial<Pace> = {}): Record<string, D1Database> {
  const client = clientOf(server, pace);
  return Object.fromEntries(
    server.backend.list().map(({ uuid, name }) => [name, httpD1(client, { databaseId: uuid, name })]),
  );
}

/** What a promise fails with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('It did not fail.');
}
