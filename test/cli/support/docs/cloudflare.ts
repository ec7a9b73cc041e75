import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { coordinatorOverHttp } from '../../../../src/cli/fleet/catalog-over-http.ts';
import { shardedDrizzle } from '../../../../src/node.ts';
import { type ApiDatabase, type ApiResult, type ApiStatement, type Backend, SqlFailure } from '../backend.ts';
import { shardsOf } from '../client.ts';
import type { D1ApiServer } from '../d1-api-server.ts';

const schema = {
  users: sqliteTable('users', { id: text('id').primaryKey(), name: text('name') }),
  posts: sqliteTable('posts', { id: text('id').primaryKey(), userId: text('user_id').notNull() }),
  countries: sqliteTable('countries', { code: text('code').primaryKey() }),
};

/** As many as can be made. */
const DATABASES = 6;

export const ENVIRONMENTS = ['production', 'staging'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/** Passes statements on to a database, and answers for the catalogs of the Workers of both environments. */
const WORKER = `import endpoint, { ShardCoordinator } from './coordinator.mjs';
export class Production extends ShardCoordinator {}
export class Staging extends ShardCoordinator {}
export default {
  async fetch(request, env) {
    if (new URL(request.url).hostname !== 'd1') {
      const isStaging = request.headers.get('authorization') === 'Bearer ' + env.STAGING_SECRET;
      const [SHARDED_COORDINATOR, SHARDED_SECRET] = isStaging ? [env.STAGING, env.STAGING_SECRET] : [env.PRODUCTION, env.PRODUCTION_SECRET];
      return endpoint.fetch(request, { SHARDED_COORDINATOR, SHARDED_SECRET });
    }
    const { binding, statements } = await request.json();
    return env[binding].fetcher.fetch('http://d1/query?resultsFormat=ROWS_AND_COLUMNS', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(statements),
    });
  },
};`;

/**
 * An account with databases, and Workers that are deployed there: on real local D1, in one runtime, so that a coordinator has the
 * databases that the API has.
 */
export class Cloudflare implements Backend {
  readonly #miniflare: Miniflare;
  readonly #databases: ApiDatabase[] = [];
  readonly #secrets: Readonly<Record<Environment, string>> = { production: randomUUID(), staging: randomUUID() };

  constructor() {
    const built = join(import.meta.dirname, '../../../../dist/cli/coordinator-worker.js');
    this.#miniflare = new Miniflare(
      convertV4MiniflareOptions({
        host: '127.0.0.1',
        port: 0,
        modules: [
          { type: 'ESModule', path: 'worker.mjs', contents: WORKER },
          { type: 'ESModule', path: 'coordinator.mjs', contents: readFileSync(built, 'utf8') },
        ],
        compatibilityDate: '2026-11-01',
        bindings: { PRODUCTION_SECRET: this.#secrets.production, STAGING_SECRET: this.#secrets.staging },
        d1Databases: Array.from({ length: DATABASES }, (_, i) => `DB_${i}`),
        durableObjects: {
          PRODUCTION: { className: 'Production', useSQLite: true },
          STAGING: { className: 'Staging', useSQLite: true },
        },
      }),
    );
  }

  /** Where the Workers answer, and by which secret. */
  async deployed(environment: Environment): Promise<{ url: string; secret: string }> {
    return { url: (await this.#miniflare.ready).origin, secret: this.#secrets[environment] };
  }

  /** As a Worker of production is used that binds all databases there are: somebody signs up. */
  async visit(server: D1ApiServer, ids: readonly string[]): Promise<void> {
    const { url, secret } = await this.deployed('production');
    const shards = Object.entries(shardsOf(server)).map(([name, database]) => [
      name.replace('-production', ''),
      database,
    ]);
    const db = shardedDrizzle({
      schema,
      shards: Object.fromEntries(shards) as Record<string, D1Database>,
      coordinator: coordinatorOverHttp(url, secret, fetch) as never,
      tables: { posts: { key: 'userId' }, countries: { replicated: true } },
    });
    await db.insert(schema.users).values(ids.map((id) => ({ id, name: `name of ${id}` })));
    await db.insert(schema.countries).values(ids.map((code) => ({ code })));
  }

  list(): readonly ApiDatabase[] {
    return this.#databases;
  }

  create(name: string): ApiDatabase {
    if (this.#databases.length === DATABASES) throw new Error(`There are ${DATABASES} databases already.`);
    const database = { uuid: randomUUID(), name };
    this.#databases.push(database);
    return database;
  }

  async run({ uuid }: ApiDatabase, statements: readonly ApiStatement[]): Promise<readonly ApiResult[]> {
    const binding = `DB_${this.#databases.findIndex((database) => database.uuid === uuid)}`;
    const body = JSON.stringify({ binding, statements });
    const response = await this.#miniflare.dispatchFetch('http://d1/', { method: 'POST', body });
    const results = [await response.json()].flat() as (ApiResult | { readonly error: string })[];
    for (const result of results) if ('error' in result && result.error) throw new SqlFailure(result.error);
    return results as ApiResult[];
  }

  dispose(): Promise<void> {
    return this.#miniflare.dispose();
  }
}
