import { execFile } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { D1ApiServer } from '../d1-api-server.ts';
import { type Files, Workspace } from '../workspace.ts';
import { Cloudflare, type Environment } from './cloudflare.ts';
import type { Step } from './page.ts';

const root = join(import.meta.dirname, '../../../..');

/** A command of somebody else, and why it is not run here. */
export interface Elsewhere {
  readonly begins: string;
  readonly why: string;
  /** What comes of it, as far as what follows depends on it. */
  readonly instead?: (reader: Reader, line: string) => unknown;
}

const SCHEMA = `import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
export const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name') });
export const posts = sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id').notNull() });
export const countries = sqliteTable('countries', { code: text('code').primaryKey() });
`;

const MIGRATIONS: Files = [
  [
    '0000_init',
    `CREATE TABLE \`users\` (\`id\` text PRIMARY KEY NOT NULL, \`name\` text);
--> statement-breakpoint
CREATE TABLE \`posts\` (\`id\` text PRIMARY KEY NOT NULL, \`user_id\` text NOT NULL);
--> statement-breakpoint
CREATE TABLE \`countries\` (\`code\` text PRIMARY KEY NOT NULL);`,
  ],
];

/** What only looks does not have to be tried twice on a page. */
const LOOKS = / (--help|check|status|verify|moves --|.* --dry-run)/;

/** Somebody with an empty project and an account, who does what a page says, line by line. */
export class Reader implements AsyncDisposable {
  readonly #ids = new Map<string, string>();
  readonly #shell: Record<string, string>;
  readonly #seen = new Set<string>();

  private constructor(
    readonly workspace: Workspace,
    readonly cloudflare: Cloudflare,
    readonly server: D1ApiServer,
    readonly elsewhere: readonly Elsewhere[],
  ) {
    const { folder } = workspace;
    const bin = join(folder, '.bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${root}/dist/cli/main.js" "$@"\n`);
    chmodSync(join(bin, 'npx'), 0o755);
    this.#shell = {
      PATH: [bin, join(process.execPath, '..'), process.env.PATH].join(delimiter),
      HOME: process.env.HOME ?? folder,
      NO_COLOR: '1',
      CI: 'true',
      NODE_COMPILE_CACHE: join(folder, '.compiled'),
      GITHUB_STEP_SUMMARY: join(folder, 'summary.md'),
      // As wrangler calls it; the page's reader has the real one.
      CLOUDFLARE_API_BASE_URL: server.url,
    };
    workspace.write('src/schema.ts', SCHEMA);
    workspace.write(
      'drizzle.config.ts',
      `export default { dialect: 'sqlite', schema: './src/schema.ts', out: './drizzle' };`,
    );
    // The package itself, as far as a configuration uses it.
    workspace.write(
      'node_modules/sharded-drizzle/package.json',
      '{ "name": "sharded-drizzle", "type": "module", "exports": "./index.ts" }',
    );
    workspace.write('node_modules/sharded-drizzle/index.ts', `export * from '${root}/src/sharding';\n`);
  }

  static async begin(elsewhere: readonly Elsewhere[]): Promise<Reader> {
    const cloudflare = new Cloudflare();
    const server = await D1ApiServer.start({ backend: cloudflare });
    return new Reader(new Workspace({ shards: 1 }), cloudflare, server, elsewhere);
  }

  /** What is called so, of a kind that the pages write as `<id of …>`. */
  made(name: string, id: string): void {
    this.#ids.set(name, id);
  }

  /** The migrations of the schema, as `generate` writes them. */
  generated(): void {
    this.workspace.migrations(MIGRATIONS);
  }

  /** @throws Error when a command ends with another code than 0, or nobody knows it. */
  async follow(step: Step): Promise<void> {
    if (step.kind === 'file') {
      const text = this.filledIn(step.text);
      if (step.below) appendFileSync(join(this.workspace.folder, step.path), text);
      else this.workspace.write(step.path, text);
      return;
    }
    const { at, line } = step;
    const [, variable] = /^export (\w+)=\S+$/.exec(line) ?? [];
    if (variable) {
      if (!(variable in (await this.#credentials('production')))) throw new Error(`${at}: nothing reads ${variable}.`);
      return;
    }
    const other = this.elsewhere.find(({ begins }) => line.startsWith(begins));
    if (other) {
      await other.instead?.(this, line);
      return;
    }
    if (!/^(npx sharded-drizzle|node scripts\/)/.test(line)) throw new Error(`${at}: nobody knows how to run: ${line}`);
    if (LOOKS.test(line) && this.#seen.has(line)) return;
    this.#seen.add(line);
    await this.#run(at, this.filledIn(line));
  }

  async #run(at: string, line: string): Promise<void> {
    const environment = line.includes('--env staging') ? 'staging' : 'production';
    const env = { ...this.#shell, ...(await this.#credentials(environment)) };
    await new Promise<void>((resolve, reject) => {
      execFile('sh', ['-c', line], { cwd: this.workspace.folder, env }, (error, stdout, stderr) => {
        if (error) reject(new Error(`${at}: ${line}\nended with ${error.code}:\n${stdout}${stderr}`));
        else resolve();
      });
    });
  }

  async #credentials(environment: Environment): Promise<Record<string, string>> {
    const { url, secret } = await this.cloudflare.deployed(environment);
    return {
      CLOUDFLARE_ACCOUNT_ID: this.server.accountId,
      CLOUDFLARE_API_TOKEN: this.server.apiToken,
      SHARDED_URL: url,
      SHARDED_SECRET: secret,
    };
  }

  read(file: string): string {
    return readFileSync(join(this.workspace.folder, file), 'utf8');
  }

  /** With the ids of what was made. */
  filledIn(text: string): string {
    return text.replaceAll(/<id of ([\w-]+)>/g, (_, name: string) => {
      const id = this.#ids.get(name) ?? this.cloudflare.list().find((database) => database.name === name)?.uuid;
      if (id === undefined) throw new Error(`Nothing is called ${name}.`);
      return id;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.workspace[Symbol.dispose]();
    await this.server.close();
    await this.cloudflare.dispose();
  }
}
