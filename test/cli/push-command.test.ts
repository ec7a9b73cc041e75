import { expect, it } from 'vitest';
import { Account } from './support/account';
import { SimulatedBackend } from './support/simulated-backend';

interface Pushed {
  readonly groups?: readonly { shards: string[]; statements: string[]; dataLoss: string[] }[];
  readonly shards?: readonly { shard: string; state: string }[];
}

it('pushes the schema: shows shards apart that differ, and loses nothing without --force', async () => {
  await using account = await Account.open(new SimulatedBackend(3));
  await account.begin();
  await account.sql(1, 'alter table users add column old text');
  await account.sql(1, "update users set old = 'kept'");
  const objects = async (i: number) => (await account.sql(i, 'select name from sqlite_master order by name')).flat();
  const systemTables = async (i: number) =>
    (await objects(i)).filter((name) => /^_(shard|_drizzle)/.test(String(name)));
  const before = await systemTables(0);

  const looked = await account.run(['push', '--dry-run', '--json']);
  expect(looked).toMatchObject({ code: 0, stderr: '', json: { ok: true, command: 'push' } });
  const { groups } = looked.json as Pushed;
  expect(groups?.map(({ shards, dataLoss }) => [shards, dataLoss])).toEqual([
    [['db-0', 'db-2'], []],
    [['db-1'], ['column users.old is dropped, in 1 rows']],
  ]);
  const refused = await account.run(['push']);
  expect(refused.code).toBe(3);
  expect(refused.stdout).toContain('db-0, db-2:\n  CREATE UNIQUE INDEX');
  expect(refused.stderr).toContain('- db-1: column users.old is dropped');
  expect(refused.stderr).toContain('--force');
  for (const i of [0, 1, 2]) expect(await objects(i)).not.toContain('users_email');
  expect(await account.sql(1, 'select old from users')).toEqual([['kept']]);

  const pushed = await account.run(['push', '--force', '--canary', 'db-1']);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  expect(pushed.stdout.match(/^done +(\S+)/gm)?.[0]).toMatch(/db-1$/);
  for (const i of [0, 1, 2]) expect(await objects(i)).toContain('users_email');
  expect(await systemTables(0)).toEqual(before);
  expect(before.length).toBeGreaterThan(3);
  await expect(account.sql(1, 'select old from users')).rejects.toThrow('no such column');
  expect(await account.sql(1, 'select id from users')).toEqual([['1']]);
  expect(await account.applied()).toEqual([2, 2, 2]);

  await account.sql(2, "insert into users (id, email) values ('twin', 'same'), ('other', 'same')").catch(() => {});
  account.workspace.write(
    'schema.ts',
    `import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
export const users = sqliteTable('users', { id: text('id').primaryKey(), nick: text('nick').notNull() });
export const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id'), body: text('body') });
export const countries = sqliteTable('countries', { code: text('code').primaryKey() });`,
  );
  const impossible = await account.run(['push', '--force', '--json']);
  expect(impossible).toMatchObject({ code: 3, stderr: '', json: { ok: false, error: { code: 'PUSH_REFUSED' } } });
  expect(impossible.json.error?.message).toMatch(/users.nick is NOT NULL without a default/);
  expect(impossible.json.error?.message).toMatch(/posts.title looks as if it was renamed to body/);
});
