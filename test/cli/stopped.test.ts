import { expect, it } from 'vitest';
import { Account } from './support/account';
import type { ApiRequest } from './support/d1-api-server';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES } from './support/workspace';

const isApplying = ({ statements }: ApiRequest): boolean =>
  statements.some(({ sql }) => sql.startsWith('insert into "__drizzle_migrations"'));

it('migrate ends after the shards that are under way, and the next run begins at once', async () => {
  await using account = await Account.open(new SimulatedBackend(5));
  await account.begin();
  account.workspace.migrations(FILES);
  const { server } = account;
  // With the drift check it has a runtime of its own, which must not end the process by itself.
  const run = account.start(['migrate', '--concurrency', '2', '--no-bookmarks']);
  server.fail = (request) => {
    if (!isApplying(request) || server.latencyMs > 0) return undefined;
    // Whatever is begun before the signal arrives, which is two shards after the canary at most, takes longer than that.
    server.latencyMs = 500;
    run.child.kill('SIGINT');
    return undefined;
  };
  const stopped = await run.ended;
  server.fail = undefined;
  server.latencyMs = 20;
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toMatch(/^Stopping after the shards that are under way/);
  expect(stopped.stderr).toContain('The migrations were stopped. Done: db-0');
  const applied = await account.applied();
  expect(applied[0]).toBe(4);
  expect(applied.slice(3)).toEqual([2, 2]);
  applied.forEach((count, i) => {
    expect(stopped.stdout).toMatch(new RegExp(`^db-${i} +${count === 4 ? 'done' : 'untouched'} `, 'm'));
  });

  const resumed = await account.run(['migrate', '--no-bookmarks', '--no-drift', '--wait', '1']);
  expect(resumed.code).toBe(0);
  expect(await account.applied()).toEqual([4, 4, 4, 4, 4]);

  // A job of moves is paused, and goes on when it is told to.
  for (const i of [0, 1, 2, 3, 4]) await account.sql(i, 'delete from users');
  const values = Array.from({ length: 200 }, (_, i) => `('u${i}')`).join(', ');
  expect((await account.run(['sql', `insert into users (id) values ${values}`])).code).toBe(0);
  const draining = account.start(['drain', 'db-4', '--rows-per-move', '2', '--json']);
  let moved = 0;
  server.fail = ({ statements }) => {
    if (statements.some(({ sql }) => /insert .*into "?users"?/i.test(sql)) && ++moved === 2) {
      draining.child.kill('SIGTERM');
    }
    return undefined;
  };
  const paused = await draining.ended;
  server.fail = undefined;
  expect(paused).toMatchObject({ code: 143, stderr: '', json: { ok: false, job: { state: 'paused' } } });
  const { id } = (paused.json as unknown as { job: { id: number } }).job;
  server.latencyMs = 0;
  const goneOn = await account.run(['moves', 'resume', String(id)]);
  expect(goneOn).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/drain +done/) });
  expect(await account.sql(4, 'select count(*) from users')).toEqual([[0]]);
}, 60_000);

it('a second signal ends it at once, and so does the first one of a command that only looks', async () => {
  await using account = await Account.open(new SimulatedBackend(2));
  await account.begin();
  account.workspace.migrations(FILES);
  const { server } = account;
  const run = account.start(['migrate', '--no-drift', '--no-bookmarks']);
  server.fail = (request) => {
    if (!isApplying(request)) return undefined;
    // It is kept waiting for an answer, which would come.
    server.latencyMs = 20_000;
    run.child.kill('SIGINT');
    setTimeout(() => run.child.kill('SIGINT'), 200);
    return 'lose answer';
  };
  expect((await run.ended).code).toBe(130);
  const looking = account.start(['stats']);
  server.fail = () => {
    looking.child.kill('SIGTERM');
    return undefined;
  };
  server.latencyMs = 100;
  expect(await looking.ended).toMatchObject({ code: 143, stdout: '', stderr: '' });
});
