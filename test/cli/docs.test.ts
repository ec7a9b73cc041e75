import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands';
import { fileOf, stepsOf } from './support/docs/page';
import { type Elsewhere, Reader } from './support/docs/reader';

const PAGES = ['docs/cli.md', 'docs/deploy.md', 'docs/ci.md'];

const NAMESPACE = '0f2ac74b498b48028cb68387c421e279';

const NO_ACCOUNT = 'It asks Cloudflare, and there is no account here.';

/** What the pages tell their readers to run and this test does not. Whatever is not here has to run. */
const ELSEWHERE: readonly Elsewhere[] = [
  {
    begins: 'npx wrangler d1 create ',
    why: NO_ACCOUNT,
    instead: ({ cloudflare }, line) => cloudflare.create(line.split(' ')[4] as string),
  },
  {
    begins: 'npx wrangler kv namespace create ',
    why: NO_ACCOUNT,
    instead: (reader, line) => reader.made(line.split(' ')[5] as string, NAMESPACE),
  },
  {
    begins: 'npx wrangler deploy',
    why: `${NO_ACCOUNT} The Worker is there from the start.`,
    // The second one has a database that has not joined, and is used at once.
    instead: ({ cloudflare, server }) =>
      cloudflare.list().length === 3 && cloudflare.visit(server, [...'abcdefghijklmnopqrstuvwxyz']),
  },
  { begins: 'npx wrangler secret put ', why: `${NO_ACCOUNT} The Worker has its secret.` },
  { begins: 'npx wrangler d1 delete ', why: NO_ACCOUNT },
  { begins: 'npx wrangler d1 time-travel ', why: `${NO_ACCOUNT} Local D1 has no Time Travel.` },
  { begins: 'npx wrangler d1 export ', why: NO_ACCOUNT },
  { begins: 'npx wrangler rollback', why: NO_ACCOUNT },
  { begins: 'npm ci', why: 'It asks the registry; the project has what it needs.' },
  { begins: 'npm test', why: "These are the reader's own tests." },
];

/** It is in the pages before it is in the command line. */
const TO_COME = ['doctor'].filter((name) => commands.every((command) => command.name !== name));

const isToCome = (line: string): boolean => TO_COME.some((name) => line.startsWith(`npx sharded-drizzle ${name}`));

/** What the project has when a page begins. */
const BEGINNINGS: Readonly<Record<string, (reader: Reader) => void>> = {
  'docs/cli.md': ({ workspace }) => workspace.write('wrangler.toml', local()),
  'docs/deploy.md': (reader) => {
    reader.workspace.write('sharded.config.ts', fileOf('docs/cli.md', 'sharded.config.ts'));
    reader.generated();
  },
  'docs/ci.md': (reader) => {
    const { workspace, cloudflare } = reader;
    const project = fileOf('docs/deploy.md', 'wrangler.toml');
    const production = project.slice(local().length);
    for (const name of ['production', 'staging']) {
      for (const shard of ['db-east', 'db-west']) cloudflare.create(`${shard}-${name}`);
      reader.made(`shop-map-${name}`, NAMESPACE);
    }
    workspace.write('wrangler.toml', reader.filledIn(project + production.replaceAll('production', 'staging')));
    workspace.write('sharded.config.ts', fileOf('docs/cli.md', 'sharded.config.ts'));
    workspace.write('scripts/summary.mjs', fileOf('docs/ci.md', 'scripts/summary.mjs'));
    reader.generated();
  },
};

/** What wrangler dev needs, without the environments. */
const local = (): string => fileOf('docs/deploy.md', 'wrangler.toml').split('[[env.')[0] as string;

describe.concurrent('the pages of the command line', () => {
  it.each(PAGES)('%s: every command does what it should, one after the other', { timeout: 400_000 }, async (page) => {
    await using reader = await Reader.begin(ELSEWHERE);
    BEGINNINGS[page]?.(reader);
    for (const step of stepsOf(page)) {
      if (step.kind === 'file' || !isToCome(step.line)) await reader.follow(step);
    }
    if (page === 'docs/ci.md') expect(reader.read('summary.md')).toMatch(/Migrations: done[\s\S]*db-east \| done/);
  });
});

it('every command is in the reference, and none is that there is not', () => {
  const rows = stepsOf('docs/cli.md').flatMap((step) => (step.kind === 'command' ? [step.line.split(' ')[2]] : []));
  const names = commands.map(({ name }) => name);
  expect(names.filter((name) => !rows.includes(name))).toEqual([]);
  const known = new Set([...names, ...TO_COME, '--help']);
  expect(rows.filter((name) => !known.has(name ?? ''))).toEqual([]);
});

it('nothing is excused that no page asks for', () => {
  const lines = PAGES.flatMap(stepsOf).flatMap((step) => (step.kind === 'command' ? [step.line] : []));
  expect(ELSEWHERE.filter(({ begins }) => !lines.some((line) => line.startsWith(begins)))).toEqual([]);
});
