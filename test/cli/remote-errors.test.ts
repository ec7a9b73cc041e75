import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RemoteClient } from '../../src/cli/remote/client';
import {
  createDatabase,
  databaseByName,
  listDatabases,
  restoreCommand,
  timeTravelBookmark,
} from '../../src/cli/remote/databases';
import { httpD1 } from '../../src/cli/remote/http-d1';
import { outcomeOf } from '../../src/execution/retry';
import { clientOf, failureOf } from './support/client';
import { D1ApiServer } from './support/d1-api-server';
import { SimulatedBackend } from './support/simulated-backend';

const backend = new SimulatedBackend(1200);
let server: D1ApiServer;

beforeAll(async () => {
  server = await D1ApiServer.start({ backend });
});
beforeEach(() => {
  server.fail = undefined;
  server.requests.length = 0;
});
afterAll(async () => {
  await server.close();
  await backend.dispose();
});

const [database] = backend.list();
const databaseId = database?.uuid ?? '';
const name = 'db-east';
const as = (other: Partial<{ accountId: string; apiToken: string }>) =>
  new RemoteClient({ baseURL: server.url, accountId: server.accountId, apiToken: server.apiToken, ...other });
const query = (client: RemoteClient, id = databaseId) =>
  httpD1(client, { databaseId: id, name }).prepare('select 1').all();

describe('an error says what to do about', () => {
  it('a token that is not accepted, and does not show it', async () => {
    const apiToken = 'a-token-that-nobody-shall-see';
    const client = as({ apiToken });
    for (const ask of [() => query(client), () => listDatabases(client), () => createDatabase(client, 'x')]) {
      const error = await failureOf(ask());
      expect(error).toMatchObject({
        code: 'CLOUDFLARE_API',
        message: expect.stringMatching(/CLOUDFLARE_API_TOKEN.*D1:Edit/),
      });
      expect(error.message).toContain(server.accountId);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(apiToken);
    }
    expect(inspect(client, { depth: 20, showHidden: true })).not.toContain(apiToken);
    expect(inspect(httpD1(client, { databaseId, name }), { depth: 20, showHidden: true })).not.toContain(apiToken);
    expect(JSON.stringify(client)).not.toContain(apiToken);
  });

  it('an account that is not the token’s', async () => {
    expect(await failureOf(query(as({ accountId: 'b'.repeat(32) })))).toMatchObject({
      code: 'CLOUDFLARE_API',
      message: expect.stringMatching(/no access to the account b{32}: .*7403.*CLOUDFLARE_ACCOUNT_ID/),
    });
  });

  it('a database that is not there', async () => {
    const id = '00000000-0000-0000-0000-000000000000';
    expect(await failureOf(query(clientOf(server), id))).toMatchObject({
      code: 'CLOUDFLARE_API',
      message: expect.stringMatching(/no database 0{8}-.* \(db-east\).*7404.*database_id/),
    });
  });

  it.each([
    ['', 'x', 'CLOUDFLARE_ACCOUNT_ID'],
    ['a', ' ', 'CLOUDFLARE_API_TOKEN'],
    ['a', 'tok\nen', 'line break'],
    ['a', 'töken', 'CLOUDFLARE_API_TOKEN'],
  ])('credentials that cannot be right: %j %j', (accountId, apiToken, told) => {
    const make = () => new RemoteClient({ accountId, apiToken });
    expect(make).toThrow(told);
    if (apiToken.trim()) expect(make).not.toThrow(apiToken);
  });

  it.each(['http://api.example.com', 'ftp://localhost', 'nonsense'])('a server that gets no token: %s', (baseURL) => {
    expect(() => new RemoteClient({ accountId: 'a', apiToken: 't', baseURL })).toThrow('https');
  });
});

describe('an error tells whether the statement may have been run:', () => {
  const failing = async () => outcomeOf(await failureOf(query(clientOf(server))));

  it.each([500, 502, 503, 520, 522, 524])('perhaps, with status %i', async (status) => {
    server.fail = () => ({ status });
    expect(await failing()).toBe('unknown');
  });

  it.each(['drop', 'lose answer', 'cut answer'] as const)('perhaps: %s', async (fault) => {
    server.fail = () => fault;
    expect(await failing()).toBe('unknown');
  });

  it('perhaps, when the time is up', async () => {
    const slow = await D1ApiServer.start({ backend, latencyMs: 300 });
    const error = await failureOf(query(clientOf(slow, { timeoutMs: 30 })));
    await slow.close();
    expect(outcomeOf(error)).toBe('unknown');
  });

  it('no, when nobody listens', async () => {
    const gone = await D1ApiServer.start({ backend });
    const client = clientOf(gone);
    await gone.close();
    const error = await failureOf(query(client));
    expect(outcomeOf(error)).toBe('not-run');
    expect(error.message).toContain('ECONNREFUSED');
  });

  it.each([
    ['D1 DB is overloaded. Requests queued for too long.', 503],
    ['D1 DB storage operation exceeded timeout which caused object to be reset.', 500],
    ['too many SQL variables: SQLITE_ERROR', 400],
    ['too many SQL variables: SQLITE_ERROR', 200],
  ])('as the database itself says: %s', async (message, status) => {
    server.fail = () => ({ status, code: 7500, message });
    const error = await failureOf(query(clientOf(server)));
    expect(error.message).toBe(`D1_ERROR: ${message}`);
    expect(outcomeOf(error)).toBe('final');
  });
});

describe('the databases of the account', () => {
  it('are listed, however many there are', async () => {
    const found = await listDatabases(clientOf(server));
    expect(found).toHaveLength(backend.list().length);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    expect(server.requests).toHaveLength(2);
  });

  it('are not taken for none when the list is refused', async () => {
    server.fail = () => ({ status: 200, code: 7500, message: 'D1 is out of order' });
    expect((await failureOf(listDatabases(clientOf(server)))).message).toContain('out of order');
  });

  it('are found by their whole names', async () => {
    const client = clientOf(server);
    expect(await databaseByName(client, 'db-1')).toEqual({ id: backend.list()[1]?.uuid, name: 'db-1' });
    expect(await databaseByName(client, 'db-')).toBeUndefined();
  });

  it('are made, one of a name', async () => {
    const client = clientOf(server);
    const made = await createDatabase(client, 'made', 'weur');
    expect(await databaseByName(client, 'made')).toEqual(made);
    expect(await failureOf(createDatabase(client, 'made'))).toMatchObject({
      code: 'CLOUDFLARE_API',
      message: expect.stringContaining('already exists'),
    });
  });

  it('are not made again when the answer is lost', async () => {
    const client = clientOf(server);
    server.fail = () => 'lose answer';
    expect(outcomeOf(await failureOf(createDatabase(client, 'lost')))).toBe('unknown');
    expect(server.requests).toHaveLength(1);
    server.fail = undefined;
    expect(await databaseByName(client, 'lost')).toBeDefined();
  });

  it('are listed although an answer is lost', async () => {
    server.fail = () => (server.requests.length === 1 ? 'lose answer' : undefined);
    expect(await databaseByName(clientOf(server), 'db-7')).toBeDefined();
    expect(server.requests).toHaveLength(2);
  });

  it('have bookmarks that move on with each write', async () => {
    const client = clientOf(server);
    const info = { id: databaseId, name };
    const before = await timeTravelBookmark(client, info);
    await httpD1(client, { databaseId, name }).exec('create table if not exists t (id)\ninsert into t values (1)');
    const after = await timeTravelBookmark(client, info);
    expect(after > before).toBe(true);
    expect(restoreCommand(name, after)).toBe(`npx wrangler d1 time-travel restore db-east --bookmark=${after}`);
  });
});
