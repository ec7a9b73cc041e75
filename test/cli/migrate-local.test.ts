import { expect, it } from 'vitest';
import { FILES, nameOf, Workspace } from './support/workspace';

const ALL = Array.from({ length: 16 }, (_, i) => nameOf(i));

it('migrates 3 shards of wrangler dev with a coordinator, and then finds nothing to do', async () => {
  using workspace = new Workspace({ shards: 3, coordinator: true });
  workspace.migrations(FILES);
  const first = await workspace.run(['migrate']);
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(first.stdout).toContain('3 of 3 shards lack migrations');
  const again = await workspace.run(['migrate', '--json']);
  const current = ALL.slice(0, 3).map((shard) => ({ shard, state: 'current' }));
  expect(again.json).toMatchObject({ ok: true, shards: current });
});

it('stops at shard 7 of 16, says what became of each, and goes on when it is mended', async () => {
  using workspace = new Workspace({ shards: 16 });
  workspace.migrations(FILES.slice(0, 2));
  expect((await workspace.run(['migrate', '--no-drift'])).code).toBe(0);
  const twins = "insert into users (id, email) values ('a', 'same'), ('b', 'same')";
  expect((await workspace.run(['sql', twins, '--shard', nameOf(7), '--write'])).code).toBe(0);

  workspace.migrations(FILES);
  const failed = await workspace.run(['migrate', '--concurrency', '3']);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('UNIQUE constraint failed: users.email');
  expect(failed.stdout).toMatch(/db-7 +failed +0002_counted, 0003_email/);
  expect(failed.stdout).toMatch(/db-0 +done +0002_counted, 0003_email/);
  expect(failed.stdout).toMatch(/db-15 +untouched/);
  const status = await workspace.run(['status', '--json']);
  const { shards } = status.json as unknown as { shards: { shard: string; migrations: { pending: string[] } }[] };
  const behind = shards.filter(({ migrations }) => migrations.pending.length > 0).map(({ shard }) => shard);
  expect(behind).toContain(nameOf(7));
  expect(behind).not.toContain(nameOf(0));

  const mend = "delete from users where id = 'b'";
  expect((await workspace.run(['sql', mend, '--shard', nameOf(7), '--write'])).code).toBe(0);
  const resumed = await workspace.run(['migrate', '--json']);
  expect(resumed.code).toBe(0);
  const done = (resumed.json as unknown as { shards: { shard: string; state: string }[] }).shards
    .filter(({ state }) => state === 'done')
    .map(({ shard }) => shard);
  expect(done.sort()).toEqual(behind.sort());
});
