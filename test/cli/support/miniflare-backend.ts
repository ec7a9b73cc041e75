import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { type ApiDatabase, type ApiResult, type ApiStatement, type Backend, SqlFailure } from './backend.ts';

export interface MiniflareOptions {
  /** They are called `db-0`, `db-1`, ... */
  readonly databases: number;
  /** How many more can be made: bindings are fixed when Miniflare starts. */
  readonly spare?: number;
  /** Keeps the databases, for a server that is started again. */
  readonly persist?: string | undefined;
}

/** Passes statements on to the database itself, whose rows are arrays: the methods of a binding that batch have objects. */
const WORKER = `export default {
  async fetch(request, env) {
    const { binding, statements } = await request.json();
    return env[binding].fetcher.fetch('http://d1/query?resultsFormat=ROWS_AND_COLUMNS', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(statements),
    });
  },
};`;

/** Real local D1 databases. */
export class MiniflareBackend implements Backend {
  readonly #miniflare: Miniflare;
  readonly #bindings: readonly string[];
  readonly #databases: ApiDatabase[];
  readonly #file: string | undefined;

  constructor({ databases, spare = 2, persist }: MiniflareOptions) {
    this.#bindings = Array.from({ length: databases + spare }, (_, index) => `DB_${index}`);
    this.#file = persist && join(persist, 'databases.json');
    if (persist) mkdirSync(persist, { recursive: true });
    this.#databases =
      this.#file && existsSync(this.#file)
        ? JSON.parse(readFileSync(this.#file, 'utf8'))
        : Array.from({ length: databases }, (_, index) => ({ uuid: randomUUID(), name: `db-${index}` }));
    this.#miniflare = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        script: WORKER,
        compatibilityDate: '2026-11-01',
        d1Databases: [...this.#bindings],
        ...(persist ? { resourcePersistencePath: persist } : {}),
      }),
    );
    this.#save();
  }

  list(): readonly ApiDatabase[] {
    return this.#databases;
  }

  create(name: string): ApiDatabase {
    if (this.#databases.length === this.#bindings.length) throw new Error('All spare databases are used.');
    const database = { uuid: randomUUID(), name };
    this.#databases.push(database);
    this.#save();
    return database;
  }

  /** The binding itself, to compare with. */
  binding(database: ApiDatabase): Promise<D1Database> {
    return this.#miniflare.getD1Database(this.#bindingOf(database)) as unknown as Promise<D1Database>;
  }

  async run(database: ApiDatabase, statements: readonly ApiStatement[]): Promise<readonly ApiResult[]> {
    const response = await this.#miniflare.dispatchFetch('http://d1/', {
      method: 'POST',
      body: JSON.stringify({ binding: this.#bindingOf(database), statements }),
    });
    const answer = (await response.json()) as ApiResult | { error: string } | (ApiResult | { error: string })[];
    const results = Array.isArray(answer) ? answer : [answer];
    for (const result of results) if ('error' in result && result.error) throw new SqlFailure(result.error);
    return results as ApiResult[];
  }

  dispose(): Promise<void> {
    return this.#miniflare.dispose();
  }

  #bindingOf(database: ApiDatabase): string {
    return this.#bindings[this.#databases.findIndex(({ uuid }) => uuid === database.uuid)] as string;
  }

  #save(): void {
    if (this.#file) writeFileSync(this.#file, JSON.stringify(this.#databases));
  }
}
