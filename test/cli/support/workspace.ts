import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../../..');
const MAIN = join(root, 'dist/cli/main.js');

/** What a run of the command line ended with. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What `--json` printed. */
  readonly json: Record<string, never> & { readonly ok: boolean; readonly error?: { code: string; message: string } };
}

export interface WorkspaceOptions {
  readonly shards: number;
  /** Ids of the databases, where they are not made up. */
  readonly ids?: readonly string[];
  /** Whether a Durable Object holds the catalog, or the first D1. Default: the D1. */
  readonly coordinator?: boolean;
  /** Extra lines of wrangler.toml, or of an environment in it. */
  readonly wrangler?: string;
}

/** The files of a folder of drizzle-kit 0.31. */
export type Files = readonly (readonly [tag: string, sql: string])[];

export const FILES: Files = [
  [
    '0000_users',
    'CREATE TABLE `users` (`id` text PRIMARY KEY NOT NULL, `email` text);\n--> statement-breakpoint\nCREATE TABLE `posts` (`id` text PRIMARY KEY NOT NULL, `user_id` text NOT NULL, `title` text);\n--> statement-breakpoint\nCREATE TABLE `countries` (`code` text PRIMARY KEY NOT NULL);',
  ],
  ['0001_visits', 'ALTER TABLE `users` ADD `visits` integer DEFAULT 0 NOT NULL;'],
  // Applied twice, it would show.
  ['0002_counted', 'UPDATE `users` SET `visits` = `visits` + 1;'],
  ['0003_email', 'CREATE UNIQUE INDEX `users_email` ON `users` (`email`);'],
];

export const nameOf = (index: number): string => `db-${index}`;
const idOf = (index: number): string => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;

const SCHEMA = `
import { integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
export const users = sqliteTable('users', {
  id: text('id').primaryKey(), email: text('email'), visits: integer('visits').notNull().default(0),
}, (table) => [uniqueIndex('users_email').on(table.email)]);
export const posts = sqliteTable('posts', {
  id: text('id').primaryKey(), userId: text('user_id').notNull(), title: text('title'),
});
export const countries = sqliteTable('countries', { code: text('code').primaryKey() });
`;

/** The project of a user in a folder of its own, and the built command line in it. */
export class Workspace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'sharded-drizzle-cli-'));
  readonly options: WorkspaceOptions;
  readonly #running = new Set<ChildProcess>();

  constructor(options: WorkspaceOptions) {
    this.options = options;
    const { shards, ids = [] } = options;
    const modules = join(this.folder, 'node_modules');
    mkdirSync(modules);
    for (const name of ['drizzle-orm', 'drizzle-kit', 'wrangler']) {
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    }
    this.write('package.json', JSON.stringify({ name: 'user-of-it', type: 'module' }));
    this.write('schema.ts', SCHEMA);
    this.write('drizzle.config.ts', `export default { dialect: 'sqlite', schema: './schema.ts', out: './drizzle' };`);
    this.bind(shards, ids);
    this.shard(shards);
  }

  /** Writes `wrangler.toml` for so many databases. */
  bind(count: number, ids: readonly string[] = []): void {
    const { coordinator = false, wrangler = '' } = this.options;
    this.write('wrangler.toml', [wranglerToml(count, coordinator, ids), wrangler].join('\n'));
  }

  /** Writes `sharded.config.ts` for so many shards. */
  shard(count: number): void {
    const names = Array.from({ length: count }, (_, i) => [nameOf(i), bindingOf(i)]);
    this.write(
      'sharded.config.ts',
      `import * as schema from './schema';
export default {
  schema,
  shards: ${JSON.stringify(Object.fromEntries(names))},
  tables: { posts: { key: 'userId' }, countries: { replicated: true } },
  ${this.options.coordinator ? "coordinator: 'SHARD_COORDINATOR'," : ''}
};`,
    );
  }

  write(file: string, text: string): void {
    const path = join(this.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  /** The folder of migrations has these files, and no others. */
  migrations(files: Files): void {
    rmSync(join(this.folder, 'drizzle'), { recursive: true, force: true });
    this.write('drizzle/meta/_journal.json', JSON.stringify(journalOf(files)));
    for (const [tag, sql] of files) this.write(`drizzle/${tag}.sql`, sql);
  }

  /** Starts the command line; `ended` never rejects. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: this.folder,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.stderr += text;
    });
    const ended = new Promise<Run>((resolve) => {
      child.on('close', (code) => {
        this.#running.delete(child);
        resolve({
          code,
          ...said,
          get json() {
            return JSON.parse(said.stdout) as Run['json'];
          },
        });
      });
    });
    return { child, said, ended };
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
    return this.start(args, env).ended;
  }

  [Symbol.dispose](): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const FIRST = Date.UTC(2026, 0, 31, 12);
const DAY = 86_400_000;

/** The journal that drizzle-kit 0.31 keeps of them. */
export const journalOf = (files: Files) => ({
  version: '7',
  dialect: 'sqlite',
  entries: files.map(([tag], idx) => ({ idx, version: '6', when: FIRST + idx * DAY, tag, breakpoints: true })),
});

const bindingOf = (index: number): string => `DB_${index}`;

function wranglerToml(shards: number, coordinator: boolean, ids: readonly string[]): string {
  const databases = Array.from(
    { length: shards },
    (_, i) => `[[d1_databases]]
binding = "${bindingOf(i)}"
database_name = "${nameOf(i)}"
database_id = "${ids[i] ?? idOf(i)}"
`,
  );
  const objects = `[[durable_objects.bindings]]
name = "SHARD_COORDINATOR"
class_name = "ShardCoordinator"
[[migrations]]
tag = "v1"
new_sqlite_classes = ["ShardCoordinator"]
`;
  return [`name = "user-of-it"\ncompatibility_date = "2026-11-01"\n`, ...databases, coordinator ? objects : ''].join(
    '\n',
  );
}
