import { UsageError } from '../errors';
import type { Project } from '../project/project';
import { isPrivate, RemoteClient } from '../remote/client';
import { restoreCommand, timeTravelBookmark } from '../remote/databases';
import { httpD1 } from '../remote/http-d1';
import type { Pace } from '../remote/paced-fetch';
import { coordinatorOverHttp, lost } from './catalog-over-http';
import type { Place } from './fleet';
import { Scratches } from './miniflare';

type Environment = Readonly<Record<string, string | undefined>>;

export interface RemoteSettings {
  /** Where the Worker answers, whose coordinator holds the catalog. */
  readonly url: string | undefined;
  readonly env: Environment;
}

/** Cloudflare's databases, over its API. */
export async function openRemote(project: Project, { url, env }: RemoteSettings): Promise<Place> {
  const client = remoteClient(project, env);
  const databases = [...project.databases()].map(([shard, { binding, name, id }]) => {
    if (id !== undefined) return { shard, binding, name, id };
    throw new UsageError(`${binding} has no database_id in ${project.config.path}.`, {
      remedy: `npx sharded-drizzle new-shard ${shard} --remote makes the database and says what to write.`,
    });
  });
  const byShard = new Map(databases.map((one) => [one.shard, one]));
  const bindings: Record<string, unknown> = {};
  for (const { binding, name, id } of databases) bindings[binding] = httpD1(client, { databaseId: id, name });
  const coordinator = project.coordinator();
  if (coordinator) bindings[coordinator.binding] = coordinatorAt(url ?? env.SHARDED_URL, env.SHARDED_SECRET);
  const scratches = new Scratches(project.root);
  return {
    where: 'remote',
    env: bindings,
    scratch: () => scratches.make(),
    restorePoint: async (shard) => {
      const found = byShard.get(shard);
      if (!found) throw new UsageError(`There is no shard ${shard}.`);
      const bookmark = await timeTravelBookmark(client, found);
      return { bookmark, command: restoreCommand(found.name, bookmark) };
    },
    close: () => scratches.close(),
  };
}

/** @throws UsageError when the account or the token is not known. */
export function remoteClient({ config }: Project, env: Environment): RemoteClient {
  const accountId = env.CLOUDFLARE_ACCOUNT_ID ?? config.accountId;
  const apiToken = env.CLOUDFLARE_API_TOKEN;
  if (!accountId || !apiToken) {
    throw new UsageError(`${accountId ? 'CLOUDFLARE_API_TOKEN' : 'CLOUDFLARE_ACCOUNT_ID'} is not set.`, {
      remedy: 'Make a token with the permission D1: Edit, and set both CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN.',
    });
  }
  // As wrangler calls it.
  const baseURL = env.CLOUDFLARE_API_BASE_URL;
  return new RemoteClient({ accountId, apiToken, ...(baseURL ? { baseURL } : {}) }, paceOf(env.SHARDED_API_RATE));
}

/** Less for those who share the account's 1,200 requests in 5 minutes with others: `100/30`, 100 requests in 30 seconds. */
function paceOf(rate: string | undefined): Partial<Pace> {
  if (!rate) return {};
  const [, requests, seconds] = /^(\d+)\/(\d+(?:\.\d+)?)$/.exec(rate) ?? [];
  if (Number(requests) > 0 && Number(seconds) > 0)
    return { requests: Number(requests), windowMs: Number(seconds) * 1000 };
  throw new UsageError(`SHARDED_API_RATE is ${rate}.`, { remedy: 'Write requests/seconds, 290/76 for instance.' });
}

function coordinatorAt(url: string | undefined, secret: string | undefined) {
  if (!url || !secret) {
    throw new UsageError('The catalog is in the coordinator, which only the Worker can reach.', {
      remedy:
        'Say where it answers, --url https://… or SHARDED_URL, and what its secret is, SHARDED_SECRET: see docs/deploy.md.',
    });
  }
  if (!URL.canParse(url))
    throw new UsageError(`${url} is no URL.`, { remedy: 'Write https://worker.example.workers.dev' });
  if (!isPrivate(url)) {
    throw new UsageError(`The secret of the catalog is not sent to ${url}.`, { remedy: 'Use an address with https.' });
  }
  // A header that cannot be sent would be quoted by the error of `fetch`.
  if (!/^[\x20-\x7e]+$/.test(secret)) {
    throw new UsageError('SHARDED_SECRET contains characters that cannot be sent.', {
      remedy: 'Look for a line break in it; a secret is plain ASCII.',
    });
  }
  return coordinatorOverHttp(url, secret, async (target, init) => {
    try {
      return await fetch(target, init);
    } catch (error) {
      throw lost(`${target} does not answer`, error);
    }
  });
}
