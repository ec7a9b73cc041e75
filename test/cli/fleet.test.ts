import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Account } from './support/account';
import type { ApiRequest } from './support/d1-api-server';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES } from './support/workspace';

const SHARDS = 80;
/** Cloudflare's limit in small: what is sent in three windows of the pace is less than what is allowed in fewer. */
const LIMIT = { requests: 300, windowMs: 1000 };
const PACE = { SHARDED_API_RATE: '95/0.36' };

/** What does not grow with the shards: the catalog, and of the first wave of shards the second try of those without a ledger. */
const BESIDES = 20;

/** The most requests that came within a window of the limit. */
function mostInWindow(requests: readonly ApiRequest[]): number {
  const times = requests.map(({ at }) => at);
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + LIMIT.windowMs).length));
}

const appliedTo = (requests: readonly ApiRequest[]): string[] =>
  requests
    .filter(({ statements }) => statements.some(({ sql }) => sql.startsWith('insert into "__drizzle_migrations"')))
    .map(({ path }) => path)
    .sort();

it(`migrates ${SHARDS} shards within the rate limit, each once`, async () => {
  await using account = await Account.open(new SimulatedBackend(SHARDS), { limit: LIMIT });
  const { requests } = account.server;
  const all: ApiRequest[] = [];
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await account.run(args, PACE);
    const asked = requests.slice(all.length);
    all.push(...asked);
    return { code, stdout, stderr, requests: asked };
  };

  account.workspace.migrations(FILES.slice(0, 2));
  const first = await run('migrate', '--no-drift');
  expect(first).toMatchObject({ code: 0, stderr: '' });
  // Are there rows; who are you; be a shard; the ledger; a bookmark; the migrations.
  expect(first.requests.length).toBeLessThanOrEqual(6 * SHARDS + BESIDES);
  expect(new Set(appliedTo(first.requests)).size).toBe(SHARDS);
  expect(appliedTo(first.requests)).toHaveLength(SHARDS);

  const checked = await run('check');
  expect(checked).toMatchObject({ code: 0, stdout: `${SHARDS} shards: all have the newest migration.\n` });
  // The ledger and the schema in one.
  expect(checked.requests.length).toBeLessThanOrEqual(SHARDS + BESIDES);

  account.workspace.migrations(FILES);
  const second = await run('migrate', '--no-drift');
  expect(second.code).toBe(0);
  // The ledger, a bookmark, the migrations.
  expect(second.requests.length).toBeLessThanOrEqual(3 * SHARDS + BESIDES);
  expect(new Set(appliedTo(second.requests)).size).toBe(SHARDS);
  expect(appliedTo(second.requests)).toHaveLength(SHARDS);
  expect(await account.applied()).toEqual(Array(SHARDS).fill(FILES.length));

  expect(all.filter(({ status }) => status !== 200 && status !== 400)).toEqual([]);
  expect(mostInWindow(all)).toBeLessThanOrEqual(LIMIT.requests);
  // Not a line, or two, for each shard.
  expect(second.stdout.split('\n').length).toBeLessThan(20);
  expect(second.stdout).toContain(`${SHARDS} of ${SHARDS} shards lack migrations:`);
  expect(second.stdout).toContain(`${SHARDS} of ${SHARDS} shards are done`);
  const folder = join(account.workspace.folder, '.wrangler/sharded-drizzle');
  const [, last] = readdirSync(folder).sort();
  const restores = readFileSync(join(folder, last as string), 'utf8')
    .trim()
    .split('\n');
  expect(restores).toHaveLength(SHARDS);
  expect(restores[7]).toMatch(/^npx wrangler d1 time-travel restore db-\d+ --bookmark=\S+$/);
});

it('says of many shards what is alike once, and who is different', async () => {
  await using account = await Account.open(new SimulatedBackend(45));
  await account.begin(FILES.slice(0, 2));
  await account.sql(41, 'delete from __drizzle_migrations where rowid = 2');
  const status = await account.run(['status', '--no-drift']);
  expect(status.stdout.trim().split('\n')).toEqual([
    expect.stringMatching(/^shard +state +region +slots +migration +lacks/),
    expect.stringMatching(/^44: db-0, db-1, db-2 and 41 more +active +97\.\d % +0001_visits +0$/),
    expect.stringMatching(/^db-41 +active +2\.\d % +0000_users +1$/),
  ]);

  account.workspace.migrations(FILES);
  await account.sql(10, "insert into users (id, email) values ('a', 'same'), ('b', 'same')");
  const check = await account.run(['check', '--no-drift']);
  expect(check.stdout).toContain(
    '- db-0, db-1, db-2, db-3, db-4, db-5, db-6, db-7 and 36 more lack 0002_counted, 0003_',
  );
  await account.sql(41, 'delete from __drizzle_migrations');
  await account.sql(41, 'drop table users');
  await account.sql(41, 'drop table posts');
  await account.sql(41, 'drop table countries');
  const failed = await account.run(['migrate', '--no-drift', '--no-bookmarks']);
  expect(failed.code).toBe(1);
  expect(failed.stderr.length).toBeLessThan(1000);
  expect(failed.stderr).toMatch(
    /Migrations failed on db-10: .* Done: db-0, .* and \d+ more\. Untouched: db-[12]\d, .* more\./,
  );
});
