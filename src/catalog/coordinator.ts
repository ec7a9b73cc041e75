import { DurableObject } from 'cloudflare:workers';
import { driveJobs } from '../moves/alarm';
import type { Answer, RemoteCatalog } from './coordinator-client';
import { catalogThrough, isOperation, programOf } from './operations';
import type { Program } from './program';
import { CATALOG_TABLES } from './tables';

/** Operations after which there may be something to do that outlives their caller. */
const WAKES: ReadonlySet<string> = new Set(['startJob', 'journal', 'advanceJob', 'leaseJob', 'prepareWrite']);
const WAKE_MS = 1000;

type SqlRow = Record<string, SqlStorageValue>;

/**
 * The catalog in the SQLite of a Durable Object. Export it from the Worker and bind it:
 *
 * @example
 * export { ShardCoordinator } from 'sharded-drizzle';
 *
 * // wrangler.toml
 * // [[durable_objects.bindings]]
 * // name = "SHARD_COORDINATOR"
 * // class_name = "ShardCoordinator"
 * // [[migrations]]
 * // tag = "v1"
 * // new_sqlite_classes = ["ShardCoordinator"]
 */
export class ShardCoordinator extends DurableObject implements RemoteCatalog {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    ctx.storage.transactionSync(() => {
      for (const sql of CATALOG_TABLES) ctx.storage.sql.exec(sql);
    });
  }

  /** Runs one operation of the {@link Catalog}, by its name. */
  async call(name: string, args: readonly unknown[]): Promise<Answer<unknown>> {
    if (!isOperation(name)) return { error: `The coordinator knows no operation ${name}.` };
    const answer = this.#run(() => programOf(name, args));
    if (WAKES.has(name) && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + WAKE_MS);
    }
    return answer;
  }

  /** Goes on with jobs that nobody is at work on: those that shall run in the background, and what a crash has left. */
  override async alarm(): Promise<void> {
    const catalog = catalogThrough(async (name, args) => {
      const answer = this.#run(() => programOf(name, args));
      if ('error' in answer) throw new Error(answer.error);
      return answer.value;
    });
    const next = await driveJobs(catalog, this.env);
    if (next !== undefined) await this.ctx.storage.setAlarm(next);
  }

  #run<T>(make: () => Program<T>): Answer<T> {
    const { storage } = this.ctx;
    try {
      const { statements, read } = make();
      const value = storage.transactionSync(() =>
        read(statements.map(({ sql, params }) => storage.sql.exec<SqlRow>(sql, ...params).toArray())),
      );
      return { value };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
