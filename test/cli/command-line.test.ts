import { rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands';
import { Account } from './support/account';
import { SimulatedBackend } from './support/simulated-backend';
import { FILES, type Run, Workspace } from './support/workspace';

const workspace = new Workspace({ shards: 2 });
afterAll(() => workspace[Symbol.dispose]());

const ESCAPE = '\u001b';
/** Nothing that only an author of the command line could read. */
function checkText({ stdout, stderr }: Run): void {
  expect(stdout + stderr).not.toContain(ESCAPE);
  expect(stderr).not.toMatch(/^ +at .*:\d+:\d+/m);
}

it('every command has examples, and shows them with --help', async () => {
  for (const { name, summary, examples } of commands) {
    expect(examples.length, name).toBeGreaterThan(0);
    for (const [line, what] of examples) {
      expect(commands.map((one) => one.name)).toContain(line.split(' ')[0]);
      expect(what).not.toBe('');
    }
    expect(summary).toMatch(/[.?:]|generate\.$/);
  }
  const [all, one] = await Promise.all([workspace.run(['--help']), workspace.run(['migrate', '--help'])]);
  for (const { name } of commands) expect(all.stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
  expect(one.code).toBe(0);
  expect(one.stdout).toContain('Examples:\n  npx sharded-drizzle migrate --dry-run');
});

it('a command line that is wrong is exit code 2, and a document where one is wanted', async () => {
  const refused = async (args: readonly string[], message: string) => {
    const run = await workspace.run(args);
    expect(run.code).toBe(2);
    checkText(run);
    if (!args.includes('--json')) {
      expect(run).toMatchObject({ stdout: '', stderr: expect.stringContaining(message) });
      return;
    }
    expect(run).toMatchObject({ stderr: '', json: { ok: false, exitCode: 2, error: { code: 'USAGE' } } });
    expect(run.json.error?.message).toContain(message);
  };
  await Promise.all([
    refused(['bogus'], "unknown command 'bogus'"),
    refused(['migrate', '--bogus', '--json'], "unknown option '--bogus'"),
    refused(['reassign', 'key', '--json'], "missing required argument 'shard'"),
  ]);
  await Promise.all([
    refused(['rebalance', '--concurrency', 'x'], '--concurrency is x. Write a whole number above 0.'),
    refused(['status', '--env', 'prodution', '--json'], 'has no environment prodution'),
  ]);
  await Promise.all([
    refused(['status', '--remote', '--json'], 'CLOUDFLARE_ACCOUNT_ID is not set'),
    refused(['moves', 'fly'], 'moves has no action fly'),
  ]);
});

it('a configuration that is wrong is exit code 2, and what to do', async () => {
  using broken = new Workspace({ shards: 2 });
  const refused = async (args: readonly string[], message: string | RegExp) => {
    const run = await broken.run(args);
    expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
    checkText(run);
  };
  await refused(['migrate'], /no migrations of drizzle-kit in/);
  broken.shard(3);
  await refused(['status'], /db-2 is bound as DB_2, which .*wrangler.toml does not have. It has DB_0, DB_1/);
  broken.write('sharded.config.ts', "export default { shards: { a: 'DB_0', b: 'DB_0' } };");
  await refused(['status'], /The shards a and b are both bound as DB_0/);
  broken.write('drizzle.config.ts', "export default { dialect: 'sqlite'");
  await refused(['migrate'], /drizzle.config.ts cannot be loaded: .*Unexpected token/);
});

it('an error never shows the token, and a document has nothing beside it', async () => {
  await using account = await Account.open(new SimulatedBackend(2));
  const token = 'a-token-that-nobody-shall-see';
  const env = { CLOUDFLARE_API_TOKEN: token, SHARDED_DEBUG: '1' };
  const [text, json, elsewhere] = await Promise.all([
    account.run(['status'], env),
    account.run(['status', '--json'], env),
    account.run(['status'], { CLOUDFLARE_API_BASE_URL: 'http://example.com' }),
  ]);
  expect(text).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('The API token is not accepted') });
  expect(json).toMatchObject({ code: 1, stderr: '', json: { ok: false, error: { code: 'CLOUDFLARE_API' } } });
  expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringContaining('not sent to http://example.com') });
  for (const { stdout, stderr } of [text, json, elsewhere]) {
    expect(stdout + stderr).not.toContain(token);
    expect(stdout + stderr).not.toContain(account.server.apiToken);
  }
});

it('generate passes options on, and lists what came of it; folders of Drizzle 1.0 and environments are read', async () => {
  const environment = `[env.production]\n[[env.production.d1_databases]]\nbinding = "DB_0"\ndatabase_name = "first"\ndatabase_id = "00000000-0000-4000-8000-00000000aaaa"\n`;
  using project = new Workspace({ shards: 2, wrangler: environment });
  symlinkSync(join(import.meta.dirname, '../../node_modules/.bin'), join(project.folder, 'node_modules/.bin'));
  const first = await project.run(['generate', '--json', '--name=begin']);
  expect(first).toMatchObject({ code: 0, json: { ok: true, generated: ['0000_begin'] } });
  const custom = await project.run(['generate', '--custom', '--name', 'fill']);
  expect(custom.code).toBe(0);
  const [looked, missing] = await Promise.all([
    project.run(['migrate', '--dry-run', '--json']),
    project.run(['status', '--env', 'production']),
  ]);
  expect(looked.json).toMatchObject({ shards: Array(2).fill({ pending: ['0000_begin', '0001_fill'] }) });
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('(environment production) does not have') });

  rmSync(join(project.folder, 'drizzle'), { recursive: true });
  for (const [tag, sql] of FILES) project.write(`drizzle/2026013112000${tag[3]}_${tag.slice(5)}/migration.sql`, sql);
  rmSync(join(project.folder, 'wrangler.toml'));
  const databases = (names: readonly string[]) =>
    names.map((database_name, i) => ({ binding: `DB_${i}`, database_name, database_id: database_name }));
  const config = {
    name: 'user-of-it',
    compatibility_date: '2026-11-01',
    d1_databases: databases(['a', 'b']),
    env: { production: { d1_databases: databases(['c', 'd']) } },
  };
  project.write('wrangler.jsonc', `// A comment.\n${JSON.stringify(config)}`);
  const migrated = await project.run(['migrate', '--env', 'production', '--json']);
  const applied = FILES.map(([tag]) => `2026013112000${tag[3]}_${tag.slice(5)}`);
  expect(migrated).toMatchObject({ code: 0, json: { shards: Array(2).fill({ state: 'done', applied }) } });
  const [there, here] = await Promise.all([
    project.run(['check', '--env', 'production', '--no-drift']),
    project.run(['check', '--no-drift']),
  ]);
  expect([there.code, here.code]).toEqual([0, 1]);
}, 60_000);
