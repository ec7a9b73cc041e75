import { type JournalBundle, migrateShards, shardedDrizzle } from '../../../src/node';
import type { ApiResult, Backend } from './backend';
import { shardsOf } from './client';
import { D1ApiServer, type ServerOptions } from './d1-api-server';
import { FILES, type Files, journalOf, Workspace, type WorkspaceOptions } from './workspace';

/** Databases of an account at a server that speaks Cloudflare's API, and the project of a user that has them as its shards. */
export class Account implements AsyncDisposable {
  private constructor(
    readonly server: D1ApiServer,
    readonly backend: Backend,
    readonly workspace: Workspace,
    /** What the command line has to find in its environment. */
    readonly env: Readonly<Record<string, string>>,
  ) {}

  static async open(
    backend: Backend,
    options: Omit<WorkspaceOptions, 'shards' | 'ids'> & Pick<ServerOptions, 'limit'> = {},
  ): Promise<Account> {
    const { limit, ...project } = options;
    const server = await D1ApiServer.start({ backend, limit });
    const ids = backend.list().map(({ uuid }) => uuid);
    const workspace = new Workspace({ ...project, shards: ids.length, ids });
    const env = {
      CLOUDFLARE_ACCOUNT_ID: server.accountId,
      CLOUDFLARE_API_TOKEN: server.apiToken,
      CLOUDFLARE_API_BASE_URL: server.url,
      // Nobody else asks this server, and it takes as much as comes.
      ...(limit ? {} : { SHARDED_API_RATE: '10000/1' }),
    };
    return new Account(server, backend, workspace, env);
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return this.workspace.run([...args, '--remote'], { ...this.env, ...env });
  }

  start(args: readonly string[]) {
    return this.workspace.start([...args, '--remote'], this.env);
  }

  /** The cluster, with these migrations on every shard and a user on each. */
  async begin(files: Files = FILES.slice(0, 2)): Promise<void> {
    const { backend, workspace } = this;
    const db = shardedDrizzle({ shards: shardsOf(this.server) });
    await migrateShards(db, bundleOf(files));
    for (const [i] of backend.list().entries()) await this.sql(i, `insert into users (id) values ('${i}')`);
    workspace.migrations(files);
    this.server.requests.length = 0;
  }

  /** Past the API, on one database. */
  async sql(index: number, sql: string): Promise<ApiResult['results']['rows']> {
    const database = this.backend.list()[index];
    if (!database) throw new Error(`There is no database ${index}.`);
    const [result] = await this.backend.run(database, [{ sql, params: [] }]);
    return result?.results.rows ?? [];
  }

  /** How many migrations each database has had. */
  applied(): Promise<number[]> {
    const count = async (i: number) => Number((await this.sql(i, 'select count(*) from __drizzle_migrations'))[0]?.[0]);
    return Promise.all(this.backend.list().map((_, i) => count(i)));
  }

  /** As when so much time has passed: who has died holding the lock holds it no longer. */
  expireLock(): Promise<unknown> {
    return this.sql(0, 'update _shard_catalog_holds set until = 0');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.workspace[Symbol.dispose]();
    await this.server.close();
    await this.backend.dispose();
  }
}

export const bundleOf = (files: Files): JournalBundle => ({
  journal: journalOf(files),
  migrations: Object.fromEntries(files.map(([, sql], idx) => [`m${String(idx).padStart(4, '0')}`, sql])),
});
