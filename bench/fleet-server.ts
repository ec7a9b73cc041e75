/**
 * Cloudflare's API over simulated databases, for `fleet.ts`, in a process of its own: its memory is not that of the command line.
 * Answers each message with what was asked since the last one.
 */
import { D1ApiServer } from '../test/cli/support/d1-api-server.ts';
import type { Limit } from '../test/cli/support/faults.ts';
import { SimulatedBackend } from '../test/cli/support/simulated-backend.ts';

export interface Started {
  readonly url: string;
  readonly accountId: string;
  readonly apiToken: string;
  readonly ids: readonly string[];
}

/** What was asked. */
export interface Asked {
  readonly requests: number;
  /** Refused as one request too many. */
  readonly refused: number;
  /** The most that came within a window of the limit. */
  readonly mostInWindow: number;
  readonly bytes: number;
}

const [shards = 0, requests = 0, windowMs = 0] = process.argv.slice(2).map(Number);
const limit: Limit = { requests, windowMs };
const backend = new SimulatedBackend(shards);
const server = await D1ApiServer.start({ backend, limit });
const { url, accountId, apiToken } = server;
/** Times of earlier messages: a window does not end with a command. */
let times: number[] = [];

process.send?.({ url, accountId, apiToken, ids: backend.list().map(({ uuid }) => uuid) } satisfies Started);
process.on('message', () => {
  const asked = server.requests.splice(0);
  const before = times.length;
  times.push(...asked.map(({ at }) => at));
  process.send?.({
    requests: asked.length,
    refused: asked.filter(({ status }) => status === 429).length,
    mostInWindow: mostWithin(times, before, windowMs),
    bytes: asked.reduce((sum, { statements }) => sum + JSON.stringify(statements).length, 0),
  } satisfies Asked);
  times = times.slice(-requests);
});
process.on('disconnect', () => process.exit());

/** The most times within a window that ends with one of those from `since` on. */
function mostWithin(times: readonly number[], since: number, windowMs: number): number {
  let most = 0;
  let first = 0;
  for (const [i, at] of times.entries()) {
    while (at - (times[first] as number) >= windowMs) first++;
    if (i >= since) most = Math.max(most, i - first + 1);
  }
  return most;
}
