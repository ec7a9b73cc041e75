import { expect, it } from 'vitest';
import { Account } from './support/account';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES } from './support/workspace';

interface Told {
  readonly step?: string;
  readonly applied?: readonly string[];
  readonly job?: { id: number; state: string; rows: number };
  readonly jobs?: readonly { id: number; kind: string; state: string }[];
  readonly shards?: readonly { shard: string; state: string; slotShare: number }[];
  readonly rows?: readonly Record<string, unknown>[];
  readonly changes?: number;
}

/** The document of a run that has to end well. */
async function told(account: Account, ...args: string[]): Promise<Told> {
  const run = await account.run([...args, '--json']);
  expect(run, run.stdout).toMatchObject({ code: 0, stderr: '' });
  return run.json as Told;
}

it('adds a shard step by step, gives it its share, moves a key, finds a stray row, and empties the shard again', async () => {
  await using account = await Account.open(new SimulatedBackend(2));
  await account.begin();
  const { backend, workspace } = account;
  // They were put where they do not belong.
  for (const i of [0, 1]) await account.sql(i, 'delete from users');
  workspace.shard(2);
  workspace.migrations(FILES);

  // 1. The database.
  expect((await account.run(['new-shard', 'db-2', '--dry-run'])).stdout).toContain('It would make the database db-2');
  expect(backend.list()).toHaveLength(2);
  const made = await account.run(['new-shard', 'db-2', '--location', 'apac']);
  const id = backend.list()[2]?.uuid;
  expect(made).toMatchObject({ code: 0, stderr: '' });
  for (const line of ['binding = "DB_2"', `database_id = "${id}"`, "'db-2': 'DB_2'"])
    expect(made.stdout).toContain(line);

  // 2. It is configured, and no part of the cluster.
  workspace.bind(
    3,
    backend.list().map(({ uuid }) => uuid),
  );
  workspace.shard(3);
  const migrated = await account.run(['migrate', '--no-drift', '--no-bookmarks']);
  expect(migrated.code).toBe(0);
  expect(migrated.stderr).toBe(
    'db-2 is no part of the cluster yet, and is left out: npx sharded-drizzle new-shard db-2\n',
  );
  expect(migrated.stdout).toContain('2 of 2 shards lack migrations');
  expect(await account.sql(2, 'select name from sqlite_master')).toEqual([]);

  // 3. Its tables, before anybody asks it anything.
  const waiting = await account.run(['new-shard', 'db-2']);
  expect(waiting).toMatchObject({ code: 0, stderr: '' });
  expect(waiting.stdout).toContain('npx sharded-drizzle new-shard db-2 --remote --join');
  expect(await account.applied()).toEqual([4, 4, 4]);
  expect(await account.sql(2, "select name from sqlite_master where name = '_shard_identity'")).toEqual([]);

  // 4. It joins, and owns nothing.
  expect(await told(account, 'new-shard', 'db-2', '--join')).toMatchObject({ step: 'done', applied: [] });
  const { shards } = await told(account, 'status', '--no-drift');
  expect(shards?.[2]).toMatchObject({ shard: 'db-2', state: 'active', slotShare: 0 });

  // 5. Its share.
  const values = Array.from({ length: 60 }, (_, i) => `('u${i}')`).join(', ');
  expect(await told(account, 'sql', `insert into users (id) values ${values}`)).toMatchObject({
    rows: [],
    changes: 60,
  });
  expect((await account.run(['rebalance', '--dry-run'])).stdout).toMatch(/db-0 -> db-2 .* slots/);
  expect(await account.sql(2, 'select count(*) from users')).toEqual([[0]]);
  expect(await told(account, 'rebalance', '--rows-per-move', '5')).toMatchObject({ job: { state: 'done' } });
  const counts = await told(account, 'sql', 'select count(*) as n from users', '--all');
  expect(counts.rows?.map(({ shard }) => shard)).toEqual(['db-0', 'db-1', 'db-2']);
  expect(counts.rows?.every(({ n }) => Number(n) > 5)).toBe(true);

  // 6. One key.
  const key = String((await account.sql(0, "select id from users where id like 'u%' limit 1"))[0]?.[0]);
  expect(await told(account, 'reassign', key, 'db-2')).toMatchObject({ job: { state: 'done', rows: 1 } });
  expect(await account.sql(0, `select id from users where id = '${key}'`)).toEqual([]);

  // 7. What verify finds.
  await account.sql(0, `insert into users (id) values ('${key}')`);
  const stray = await account.run(['verify', '--json']);
  expect(stray).toMatchObject({ code: 1, stderr: '', json: { ok: false } });
  expect(JSON.stringify(stray.json)).toContain('db-0');
  expect((await account.run(['verify', '--repair'])).code).toBe(0);
  expect(await account.sql(0, `select id from users where id = '${key}'`)).toEqual([]);

  // 8. It leaves.
  const drained = await account.run(['drain', 'db-2']);
  expect(drained).toMatchObject({ code: 0, stderr: '' });
  expect(drained.stdout).toContain('db-2 is empty: take it out of sharded.config.ts and deploy.');
  expect(drained.stdout).toMatch(/^100%/m);
  const [moves, again, stats] = await Promise.all([
    told(account, 'moves'),
    account.run(['new-shard', 'db-2']),
    told(account, 'stats'),
  ]);
  const kinds = moves.jobs?.map(({ kind, state }) => `${kind} ${state}`);
  expect(kinds).toEqual(expect.arrayContaining(['drain done', 'rebalance done']));
  expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('has left the cluster') });
  expect(stats).toMatchObject({ tables: { users: { rows: 60 } } });
}, 120_000);
