import { expect, it } from 'vitest';
import { Account } from './support/account';
import type { ApiRequest } from './support/d1-api-server';
import { MiniflareBackend } from './support/miniflare-backend';
import { FILES, nameOf } from './support/workspace';

const VISITS = 'select visits from users';

/** The batch that brings a shard up to date. */
const isApplying = ({ statements }: ApiRequest): boolean =>
  statements.some(({ sql }) => sql.startsWith('insert into "__drizzle_migrations"'));

const shardOf = (account: Account, { path }: ApiRequest): number =>
  account.backend.list().findIndex(({ uuid }) => path.includes(uuid));

it('prints bookmarks first, migrates, and shows it in status and check', async () => {
  await using account = await Account.open(new MiniflareBackend({ databases: 3 }));
  await account.begin();
  account.workspace.migrations(FILES);
  const pending = await account.run(['check', '--json']);
  expect(pending).toMatchObject({ code: 1, json: { ok: false } });

  account.server.requests.length = 0;
  const done = await account.run(['migrate', '--canary', nameOf(1)]);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toMatch(/npx wrangler d1 time-travel restore db-0 --bookmark=\S+/);
  const { requests } = account.server;
  const bookmarks = requests.flatMap(({ path }, i) => (path.endsWith('time_travel/bookmark') ? [i] : []));
  const applied = requests.filter(isApplying).map((request) => shardOf(account, request));
  expect(bookmarks).toHaveLength(3);
  expect(Math.max(...bookmarks)).toBeLessThan(requests.findIndex(isApplying));
  expect(applied).toEqual([1, expect.any(Number), expect.any(Number)]);
  expect(await account.applied()).toEqual([4, 4, 4]);
  for (const i of [0, 1, 2]) expect(await account.sql(i, VISITS)).toEqual([[1]]);

  const status = await account.run(['status']);
  expect(status.code).toBe(0);
  expect(status.stdout).toMatch(/db-2 +active +33\.\d % +0003_email +0/);
  expect((await account.run(['check'])).code).toBe(0);
});

it.each([
  ['the canary', 0, 'drop'],
  ['the first wave', 2, 'lose answer'],
  ['the last wave', 4, 'lose answer'],
] as const)('goes on after it was killed at %s', async (_, at, fault) => {
  await using account = await Account.open(new MiniflareBackend({ databases: 5 }));
  await account.begin();
  account.workspace.migrations(FILES);
  const run = account.start(['migrate', '--concurrency', '2', '--no-drift', '--no-bookmarks']);
  account.server.fail = (request) => {
    if (!isApplying(request) || shardOf(account, request) !== at) return undefined;
    run.child.kill('SIGKILL');
    return fault;
  };
  expect((await run.ended).code).toBe(null);
  account.server.fail = undefined;
  for (const count of await account.applied()) expect([2, 4]).toContain(count);
  expect((await account.applied())[at]).toBe(fault === 'drop' ? 2 : 4);

  const early = await account.run(['migrate', '--wait', '1', '--no-drift', '--json']);
  expect(early).toMatchObject({ code: 3, json: { ok: false, error: { code: 'MIGRATION_REFUSED' } } });
  expect(early.json.error?.message).toContain('Another one is at work');
  await account.expireLock();
  expect((await account.run(['migrate', '--no-drift'])).code).toBe(0);
  expect(await account.applied()).toEqual([4, 4, 4, 4, 4]);
  for (const i of [0, 1, 2, 3, 4]) expect(await account.sql(i, VISITS)).toEqual([[1]]);
});

it('lets one of two runs at once do it, while the other waits', async () => {
  await using account = await Account.open(new MiniflareBackend({ databases: 3 }));
  await account.begin();
  account.workspace.migrations(FILES);
  account.server.latencyMs = 20;
  const runs = await Promise.all([1, 2].map(() => account.run(['migrate', '--no-drift', '--wait', '60', '--json'])));
  expect(runs).toMatchObject([{ code: 0 }, { code: 0 }]);
  const states = runs.map(({ json }) => (json as { shards?: { state: string }[] }).shards?.map(({ state }) => state));
  expect(states).toContainEqual(['done', 'done', 'done']);
  expect(states).toContainEqual(['current', 'current', 'current']);
  for (const i of [0, 1, 2]) expect(await account.sql(i, VISITS)).toEqual([[1]]);
});

it('refuses to begin where a shard is ahead, was edited, or has drifted, and changes nothing', async () => {
  await using account = await Account.open(new MiniflareBackend({ databases: 3 }));
  await account.begin();
  const [first, second, third, fourth] = FILES;
  if (!first || !second || !third || !fourth) throw new Error('There are four files.');
  account.workspace.migrations([first, [second[0], `${second[1]} -- edited`], third, fourth]);
  await account.sql(1, "insert into __drizzle_migrations (hash, created_at) values ('unknown', 9999999999999)");
  const refused = await account.run(['migrate', '--json']);
  expect(refused).toMatchObject({ code: 3, json: { error: { code: 'MIGRATION_REFUSED' } } });
  const { obstacles } = refused.json.error as unknown as { obstacles: { kind: string; shard: string }[] };
  expect(obstacles.map(({ kind, shard }) => `${kind} ${shard}`).sort()).toEqual([
    'ahead db-1',
    'edited db-0',
    'edited db-1',
    'edited db-2',
  ]);

  await account.sql(1, "delete from __drizzle_migrations where hash = 'unknown'");
  await account.sql(2, 'alter table users add column surprise text');
  account.workspace.migrations(FILES);
  const drifted = await account.run(['migrate']);
  expect(drifted.code).toBe(3);
  expect(drifted.stderr).toMatch(/db-2 is not what its migrations make: .*surprise/);
  expect(await account.applied()).toEqual([2, 2, 2]);
  expect((await account.run(['check'])).stdout).toContain('surprise');
  expect((await account.run(['migrate', '--no-drift'])).code).toBe(0);
  expect(await account.applied()).toEqual([4, 4, 4]);
});
