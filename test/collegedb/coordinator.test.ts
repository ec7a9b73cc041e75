import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it } from 'vitest';
import { coordinatorFetch } from '../../src/collegedb/coordinator-http';
import { initializeAsync, run } from '../../src/collegedb/workerd';
import { keysOf } from '../placement/fixture';
import { hashOwner } from '../support/owner';
import { configOf, fresh, whereIs } from './fixture';

const NAMES = ['db-east', 'db-west', 'db-central'];
const secret = `Bearer ${env.COLLEGEDB_SECRET}`;
let cluster: string;
let databases: Record<string, D1Database>;

beforeEach(async () => {
  databases = await fresh(NAMES);
  // Objects keep what they hold from test to test.
  cluster = crypto.randomUUID();
  await initializeAsync(configOf(databases, { coordinator: env.COLLEGEDB_COORDINATOR, cluster }));
});

const stub = () => env.COLLEGEDB_COORDINATOR.get(env.COLLEGEDB_COORDINATOR.idFromName(cluster));

async function ask(method: string, path: string, body?: unknown, authorization: string | null = secret) {
  const response = await stub().fetch(`http://coordinator${path}`, {
    method,
    ...(authorization === null ? {} : { headers: { authorization } }),
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return [response.status, text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text] as const;
}

describe('the secret', () => {
  it('is wanted by everything but /health', async () => {
    expect(await ask('GET', '/health', undefined, null)).toEqual([200, 'OK']);
    for (const wrong of [
      null,
      'Bearer wrong',
      env.COLLEGEDB_SECRET,
      `${secret} `,
      'Bearer ',
      `bearer ${env.COLLEGEDB_SECRET}`,
    ]) {
      if (wrong?.trim() === secret) continue;
      for (const [method, path] of [
        ['GET', '/shards'],
        ['POST', '/allocate'],
        ['POST', '/flush'],
        ['GET', '/nothing'],
      ] as const) {
        const [status, text] = await ask(method, path, method === 'POST' ? {} : undefined, wrong);
        expect([status, text]).toEqual([401, expect.stringContaining('COLLEGEDB_SECRET')]);
      }
    }
  });

  it.each([undefined, ''])('that is %j lets nothing through', async (none) => {
    const get = (path: string) =>
      coordinatorFetch(
        new Request(`http://coordinator${path}`, { headers: { authorization: 'Bearer ' } }),
        {} as never,
        none,
      );
    expect((await get('/health')).status).toBe(200);
    const response = await get('/shards');
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('wrangler secret put')]);
  });
});

describe('the endpoints', () => {
  it('/shards', async () => {
    expect(await ask('GET', '/shards')).toEqual([200, NAMES]);
    expect(await ask('POST', '/shards', { shard: 'db-west' })).toEqual([200, { success: true }]);
    expect(await ask('POST', '/shards', { shard: 'db-new' })).toEqual([
      409,
      { error: expect.stringContaining('deploy') },
    ]);
    expect(await ask('DELETE', '/shards', { shard: 'db-new' })).toEqual([200, { success: true }]);
    expect(await ask('DELETE', '/shards', { shard: 'db-west' })).toEqual([
      409,
      { error: expect.stringContaining('drain') },
    ]);
    for (const body of [{}, { shard: 5 }, 'no JSON', 'null', '[]']) {
      expect((await ask('POST', '/shards', body))[0]).toBe(400);
      expect((await ask('DELETE', '/shards', body))[0]).toBe(400);
    }
    expect(await ask('GET', '/shards')).toEqual([200, NAMES]);
  });

  it('/stats and /flush', async () => {
    expect(await ask('GET', '/stats')).toEqual([200, NAMES.map((binding) => ({ binding, count: 0 }))]);
    expect(await ask('POST', '/stats', { shard: 'db-west', count: 5 })).toEqual([200, { success: true }]);
    expect(await ask('POST', '/stats', { shard: 'db-nowhere', count: 5 })).toEqual([200, { success: true }]);
    expect((await ask('POST', '/stats', { shard: 'db-west' }))[0]).toBe(400);
    expect((await ask('POST', '/stats', { count: 5 }))[0]).toBe(400);
    await stub().incrementShardCount('db-east');
    await stub().decrementShardCount('db-central');
    const counts = async () =>
      Object.fromEntries(
        ((await ask('GET', '/stats'))[1] as { binding: string; count: number }[]).map((one) => [
          one.binding,
          one.count,
        ]),
      );
    expect(await counts()).toEqual({ 'db-east': 1, 'db-west': 5, 'db-central': 0 });
    await run('u', 'INSERT INTO users (id) VALUES (?)', ['u']);
    expect(await ask('POST', '/flush')).toEqual([200, { success: true }]);
    expect(await counts()).toEqual({ 'db-east': 0, 'db-west': 0, 'db-central': 0 });
    expect(await ask('GET', '/shards')).toEqual([200, NAMES]);
    expect(await whereIs(databases, 'select 1 from users')).toHaveLength(1);
  });

  it('/allocate', async () => {
    const allocate = async (body: object) =>
      (await ask('POST', '/allocate', { primaryKey: 'k', ...body }))[1] as { shard: string };
    for (const primaryKey of keysOf('user-', 10)) {
      const { shard } = await allocate({ primaryKey });
      expect(shard).toBe(hashOwner(NAMES)(primaryKey));
      await run(primaryKey, 'INSERT INTO users (id) VALUES (?)', [primaryKey]);
      expect(await whereIs(databases, `select 1 from users where id = '${primaryKey}'`)).toEqual([shard]);
    }
    const turns = [];
    for (let i = 0; i < 6; i++) turns.push((await allocate({ strategy: 'round-robin' })).shard);
    expect(turns.slice(0, 3).sort()).toEqual([...NAMES].sort());
    expect(turns.slice(3)).toEqual(turns.slice(0, 3));
    expect(await allocate({ availableShards: ['db-central', 'db-unknown'] })).toEqual({ shard: 'db-central' });
    expect(await allocate({ strategy: { read: 'hash', write: 'random' }, availableShards: ['db-west'] })).toEqual({
      shard: 'db-west',
    });
    const shardLocations = { 'db-east': 'enam', 'db-west': { region: 'wnam', priority: 2 } };
    expect(await allocate({ strategy: 'location', targetRegion: 'wnam', shardLocations })).toEqual({
      shard: 'db-west',
    });
    expect((await ask('POST', '/allocate', {}))[0]).toBe(400);
    expect((await ask('POST', '/allocate', { primaryKey: 'k', availableShards: [] }))[0]).toBe(400);
  });

  it('/sequence, and nothing else', async () => {
    const next = async (body: object) => (await ask('POST', '/sequence', body))[1];
    expect(await next({ name: 'orders' })).toEqual({ value: 1 });
    expect(await next({ name: 'orders', min: 10 })).toEqual({ value: 10 });
    expect(await next({ name: 'orders', min: 5 })).toEqual({ value: 11 });
    expect(await next({ name: 'other' })).toEqual({ value: 1 });
    expect((await ask('POST', '/sequence', {}))[0]).toBe(400);
    expect(await ask('GET', '/nothing')).toEqual([404, 'Not Found']);
    expect((await ask('POST', '/health', {}))[0]).toBe(404);
    expect((await ask('PUT', '/shards', {}))[0]).toBe(404);
  });
});
