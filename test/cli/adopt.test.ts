import { expect, it } from 'vitest';
import { Account } from './support/account';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES } from './support/workspace';

it('adopts two databases that came with rows, and what becomes of a key that both have', async () => {
  await using account = await Account.open(new SimulatedBackend(2));
  account.workspace.migrations(FILES);
  for (const i of [0, 1]) {
    for (const [, text] of FILES) {
      for (const sql of text.split('--> statement-breakpoint')) await account.sql(i, sql);
    }
    await account.sql(i, `insert into users (id, email) values ('own-${i}', '${i}'), ('both', 'both-${i}')`);
  }
  const planned = await account.run(['adopt', '--dry-run']);
  expect(planned).toMatchObject({ code: 0, stderr: '' });
  expect(planned.stdout).toContain('both');
  const found = await account.run(['adopt', '--json']);
  expect(found).toMatchObject({ code: 1, stderr: '', json: { ok: false, job: { state: 'done' } } });
  expect(found.json).toMatchObject({ conflicts: [{ key: 'both', shards: ['db-0', 'db-1'] }] });
  const used = await account.run(['sql', "select email from users where id = 'both'"]);
  expect(used).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('both') });

  expect((await account.run(['adopt', '--resolve', 'users'])).code).toBe(2);
  const resolved = await account.run(['adopt', '--resolve', 'users=db-1']);
  expect(resolved).toMatchObject({
    code: 0,
    stdout: '1 keys can be used again.\n1 rows of users on db-0 are set aside.\n',
  });
  const [again, verified, rows] = await Promise.all([
    account.run(['adopt']),
    account.run(['verify']),
    account.run(['sql', 'select email from users order by email', '--json']),
  ]);
  expect([again.code, verified.code]).toEqual([0, 0]);
  expect(rows.json).toMatchObject({ rows: [{ email: '0' }, { email: '1' }, { email: 'both-1' }] });
});
