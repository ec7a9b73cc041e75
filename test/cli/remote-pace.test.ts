import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outcomeOf } from '../../src/execution/retry';
import { shardedD1, UnknownOutcomeError } from '../../src/node';
import { failureOf, shardsOf } from './support/client';
import { type ApiRequest, D1ApiServer, type ServerOptions } from './support/d1-api-server';
import { SimulatedBackend } from './support/simulated-backend';

let backend: SimulatedBackend;
let server: D1ApiServer | undefined;

beforeEach(() => {
  backend = new SimulatedBackend(3);
});
afterEach(async () => {
  await server?.close();
  await backend.dispose();
});

async function started(options: Omit<ServerOptions, 'backend'> = {}): Promise<D1ApiServer> {
  server = await D1ApiServer.start({ backend, ...options });
  return server;
}

/** The most requests that came within so much time. */
function mostWithin(requests: readonly ApiRequest[], windowMs: number): number {
  return Math.max(
    ...requests.map(({ at }) => requests.filter((other) => other.at >= at && other.at < at + windowMs).length),
  );
}

const times = <T>(count: number, run: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => run(index)));

describe('the rate limit', () => {
  /** As with Cloudflare's limit, what the client sends in four of its windows is less than what is allowed in fewer. */
  const limit = { requests: 24, windowMs: 600 };
  const pace = { requests: 5, windowMs: 200 };

  it('is held by all databases of a client together', async () => {
    const api = await started({ limit });
    const shards = Object.values(shardsOf(api, pace));
    await times(40, (index) => (shards[index % 3] as D1Database).prepare('select 1').all());
    expect(api.requests).toHaveLength(40);
    expect(api.requests.every(({ status }) => status === 200)).toBe(true);
    expect(mostWithin(api.requests, limit.windowMs)).toBeLessThanOrEqual(limit.requests);
  });

  it('would be broken without it', async () => {
    const api = await started({ limit });
    const { 'db-0': db } = shardsOf(api, { refusals: 0 });
    const outcomes = await Promise.allSettled(Array.from({ length: 60 }, () => db?.prepare('select 1').all()));
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(60 - limit.requests);
  });

  it('does not make requests that wait for their turn run out of time', async () => {
    const api = await started();
    const { 'db-0': db } = shardsOf(api, { requests: 1, windowMs: 150, timeoutMs: 100 });
    await times(4, async () => db?.prepare('select 1').all());
    expect(api.requests).toHaveLength(4);
  });
});

describe('a request that was refused as one too many', () => {
  it('is sent again when the answer says, also a write', async () => {
    const api = await started({ limit: { requests: 3, windowMs: 900 } });
    const { 'db-0': db } = shardsOf(api);
    await db?.exec('create table t (id integer primary key)');
    await times(3, async () => db?.prepare('insert into t default values').run());
    expect(await db?.prepare('select count(*) as n from t').first('n')).toBe(3);
    const refused = api.requests.filter(({ status }) => status === 429);
    const next = api.requests.filter(({ at }) => at > (refused.at(-1)?.at ?? 0)).map(({ at }) => at);
    expect(refused).toHaveLength(1);
    expect(Math.min(...next) - (refused[0]?.at ?? 0)).toBeGreaterThan(900);
  });

  it('holds up the others', async () => {
    const api = await started();
    api.fail = () => (api.requests.length === 1 ? { status: 429, code: 971, retryAfter: '1' } : undefined);
    const waits: number[] = [];
    const { 'db-0': db } = shardsOf(api, { onRefused: (waitMs) => waits.push(waitMs) });
    const first = db?.prepare('select 1').all();
    while (api.requests.length === 0 || api.requests[0]?.status === undefined)
      await new Promise((next) => setTimeout(next, 5));
    await new Promise((next) => setTimeout(next, 50));
    await Promise.all([first, ...Array.from({ length: 5 }, () => db?.prepare('select 2').all())]);
    expect(api.requests).toHaveLength(7);
    const [refused, ...others] = api.requests.map(({ at }) => at);
    expect(Math.min(...others) - (refused ?? 0)).toBeGreaterThan(990);
    expect(waits).toEqual([1000]);
  });

  it('is given up after a while, as a request that was not run', async () => {
    const api = await started();
    api.fail = () => ({ status: 429, code: 971 });
    const { 'db-0': db } = shardsOf(api, { refusals: 3, refusedMs: 5 });
    const error = await failureOf((db as D1Database).prepare('select 1').all());
    expect(error).toMatchObject({ code: 'CLOUDFLARE_API', message: expect.stringContaining('five minutes') });
    expect(outcomeOf(error)).toBe('final');
    expect(api.requests).toHaveLength(4);
  });
});

describe('an answer that was lost', () => {
  const isInsert = ({ statements }: ApiRequest) => statements.some(({ sql }) => sql.startsWith('insert into t'));
  const countRows = async (shards: Record<string, D1Database>) => {
    let rows = 0;
    for (const db of Object.values(shards)) rows += Number(await db.prepare('select count(*) as n from t').first('n'));
    return rows;
  };

  it.each(['lose answer', 'cut answer', 'drop'] as const)(
    'is not asked for again by the database itself: %s',
    async (fault) => {
      const api = await started();
      const shards = shardsOf(api);
      const db = shards['db-0'] as D1Database;
      await Promise.all(Object.values(shards).map((one) => one.exec('create table t (id text)')));
      api.fail = (request) => (isInsert(request) ? fault : undefined);
      expect(outcomeOf(await failureOf(db.prepare("insert into t values ('a')").run()))).toBe('unknown');
      expect(api.requests.filter(isInsert)).toHaveLength(1);
      expect(await countRows(shards)).toBe(fault === 'drop' ? 0 : 1);
    },
  );

  it('makes a sharded write fail that cannot be repeated', async () => {
    const api = await started();
    const shards = shardsOf(api);
    await Promise.all(Object.values(shards).map((one) => one.exec('create table t (id text primary key, n integer)')));
    const d1 = shardedD1({ shards });
    await d1.prepare("insert into t (id, n) values ('a', 1)").run();
    api.fail = (request) => (isInsert(request) ? 'lose answer' : undefined);
    const write = d1.prepare('insert into t (id, n) values (?, 1)').bind('b').run();
    expect(await failureOf(write)).toBeInstanceOf(UnknownOutcomeError);
    api.fail = undefined;
    expect(await countRows(shards)).toBe(2);
  });

  it('is passed over when the write leaves a mark', async () => {
    const api = await started();
    const shards = shardsOf(api);
    await Promise.all(Object.values(shards).map((one) => one.exec('create table t (id text primary key, n integer)')));
    const d1 = shardedD1({ shards, exactlyOnce: true });
    await d1.prepare("insert into t (id, n) values ('a', 1)").run();
    let lost = 0;
    api.fail = (request) => (isInsert(request) && lost++ === 0 ? 'lose answer' : undefined);
    await d1.prepare('insert into t (id, n) values (?, 1)').bind('b').run();
    expect(lost).toBeGreaterThan(1);
    expect(await countRows(shards)).toBe(2);
  });

  it('to a sharded read is asked for again', async () => {
    const api = await started();
    const shards = shardsOf(api);
    await Promise.all(Object.values(shards).map((one) => one.exec('create table t (id text primary key, n integer)')));
    const d1 = shardedD1({ shards });
    await d1.prepare("insert into t (id, n) values ('a', 1)").run();
    let failed = 0;
    api.fail = ({ statements }) =>
      statements.some(({ sql }) => sql.includes('order by')) && failed++ < 2 ? 'drop' : undefined;
    expect(await d1.prepare('select id from t order by id').raw()).toEqual([['a']]);
    expect(failed).toBeGreaterThan(2);
  });
});
