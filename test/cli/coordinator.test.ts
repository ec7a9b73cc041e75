import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Account } from './support/account';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES } from './support/workspace';

const SECRET = 'a secret that nobody can guess';
let worker: Miniflare;
let account: Account;
let url: string;

/** What a user deploys: a Worker that passes on what belongs to the catalog. */
beforeAll(async () => {
  const path = join(import.meta.dirname, '../../dist/cli/coordinator-worker.js');
  const contents = readFileSync(path, 'utf8');
  worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'worker.mjs', contents }],
      compatibilityDate: '2026-01-01',
      bindings: { SHARDED_SECRET: SECRET },
      durableObjects: { SHARDED_COORDINATOR: { className: 'ShardCoordinator', useSQLite: true } },
    }),
  );
  url = (await worker.ready).href;
  account = await Account.open(new SimulatedBackend(2), { coordinator: true });
  account.workspace.migrations(FILES);
});
afterAll(async () => {
  await account[Symbol.asyncDispose]();
  await worker.dispose();
});

it('uses the catalog in the coordinator of a Worker', async () => {
  const env = { SHARDED_URL: url, SHARDED_SECRET: SECRET };
  const migrated = await account.run(['migrate', '--no-drift', '--json'], env);
  expect(migrated).toMatchObject({ code: 0, stderr: '', json: { shards: Array(2).fill({ state: 'done' }) } });
  expect(await account.sql(0, "select name from sqlite_master where name glob '_shard_catalog*'")).toEqual([]);
  const [several, status, verified] = await Promise.all([
    // Over HTTP, both would be run.
    account.run(['sql', 'select 1; delete from users', '--shard', 'db-0'], env),
    account.run(['status', '--no-drift', '--json', '--url', url], { SHARDED_SECRET: SECRET }),
    account.run(['verify'], env),
  ]);
  expect(status).toMatchObject({ code: 0, json: { shards: Array(2).fill({ state: 'active', slotShare: 0.5 }) } });
  expect(verified.code).toBe(0);
  expect(several).toMatchObject({ code: 3, stderr: expect.stringContaining('This statement may write') });
});

it('says what is wrong with the way to it', async () => {
  const run = (env: Readonly<Record<string, string>>) => account.run(['status'], env);
  const [without, noUrl, wrong, elsewhere, nobody] = await Promise.all([
    run({}),
    run({ SHARDED_URL: 'worker', SHARDED_SECRET: SECRET }),
    run({ SHARDED_URL: url, SHARDED_SECRET: 'a secret that is another one' }),
    // It answers, and knows nothing of a catalog.
    run({ SHARDED_URL: new URL(account.server.url).origin, SHARDED_SECRET: SECRET }),
    run({ SHARDED_URL: 'http://127.0.0.1:9', SHARDED_SECRET: SECRET }),
  ]);
  expect(without).toMatchObject({ code: 2, stderr: expect.stringMatching(/--url .* SHARDED_SECRET/) });
  expect(noUrl).toMatchObject({ code: 2, stderr: expect.stringContaining('worker is no URL') });
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/answered 401: .*SHARDED_SECRET has to be/) });
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.stderr).toMatch(/answered 40[14]: /);
  expect(nobody.code).toBe(1);
  for (const { stdout, stderr } of [without, noUrl, wrong, elsewhere, nobody]) {
    expect(stdout).toBe('');
    expect(stderr).not.toMatch(/^ +at |nobody can guess|another one|token-of-a-test/m);
  }
});
