import { expect, it } from 'vitest';
import { sizeFindings } from '../../src/cli/doctor/shards';
import { Account } from './support/account';
import { MiniflareBackend } from './support/miniflare-backend';
import { FILES } from './support/workspace';

interface Finding {
  readonly level: string;
  readonly message: string;
  readonly mend?: string;
  readonly shard?: string;
}

const open = () => Account.open(new MiniflareBackend({ databases: 3 }));

async function examine(account: Account): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, json } = await account.run(['doctor', '--json']);
  const { checkups } = json as unknown as { checkups: { findings: Finding[] }[] };
  return { code, findings: checkups.flatMap(({ findings }) => findings) };
}

it('finds nothing on a fleet that is well', async () => {
  await using account = await open();
  await account.begin(FILES);
  const { code, stdout } = await account.run(['doctor']);
  expect(stdout).toContain('All is well.');
  expect(stdout).not.toMatch(/✗|!/);
  expect(code).toBe(0);
});

it('finds drift, replicas that differ, stale moves and migrations that are lacking, each with what mends it', async () => {
  await using account = await open();
  await account.begin();
  account.workspace.migrations(FILES);
  await account.sql(1, "insert into countries (code) values ('FR')");
  await account.sql(2, 'alter table posts add column surprise text');
  await account.sql(
    0,
    `insert into _shard_catalog_moves (request, job, kind, keyspace, lo, hi, "from", "to", weight, started)
      values ('x', 1, 'slots', 'default', 0, 9, 'db-0', 'db-1', 1, 1)`,
  );
  const { code, findings } = await examine(account);
  expect(code).toBe(1);
  const found = (text: string) => findings.filter(({ message }) => message.includes(text));
  expect(found('surprise')).toMatchObject([{ level: 'error', shard: 'db-2' }]);
  expect(found('lacks 0002_counted, 0003_email')).toHaveLength(3);
  expect(found('lacks')[0]).toMatchObject({ level: 'warning', mend: 'npx sharded-drizzle migrate' });
  expect(found('Move 1 to db-1 was begun')).toMatchObject([{ mend: 'npx sharded-drizzle moves resume' }]);
  expect(found('countries')).toMatchObject([{ level: 'error', mend: expect.stringContaining('verify --repair') }]);
});

it('finds databases that are swapped, gone, or the same', async () => {
  await using account = await open();
  await account.begin(FILES);
  const toml = (ids: readonly (string | undefined)[]) =>
    account.workspace.write(
      'wrangler.toml',
      ['name = "user-of-it"', 'compatibility_date = "2026-11-01"']
        .concat(
          ids.map((id, i) => `[[d1_databases]]\nbinding = "DB_${i}"\ndatabase_name = "db-${i}"\ndatabase_id = "${id}"`),
        )
        .join('\n'),
    );
  const [a, b, c] = account.backend.list().map(({ uuid }) => uuid);
  toml([a, c, b]);
  const swapped = await examine(account);
  expect(swapped.code).toBe(1);
  expect(swapped.findings.map(({ message }) => message)).toEqual([
    'The database bound as db-1 is db-2.',
    'The database bound as db-2 is db-1.',
  ]);
  toml([a, b, '00000000-0000-4000-8000-000000000009']);
  const gone = await examine(account);
  expect(gone.findings).toMatchObject([{ level: 'error', shard: 'db-2' }]);
  expect(gone.findings[0]?.message).toContain('db-2 does not answer');
  toml([a, b, b]);
  const same = await examine(account);
  expect(same.findings).toMatchObject([{ level: 'error', message: `db-1 and db-2 are the same database, ${b}.` }]);
});

it('warns of databases that are nearly full', () => {
  expect(sizeFindings('s', 7.9e9)).toEqual([]);
  expect(sizeFindings('s', 8.1e9)).toMatchObject([{ level: 'warning', message: expect.stringContaining('8.10 GB') }]);
  expect(sizeFindings('s', 9.6e9)).toMatchObject([{ level: 'error', mend: expect.stringContaining('rebalance') }]);
});
