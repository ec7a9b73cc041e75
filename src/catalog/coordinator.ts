import { DurableObject } from 'cloudflare:workers';
import type { Answer, RemoteCatalog } from './coordinator-client';
import { isOperation, programOf } from './operations';
import type { Program } from './program';
import { CATALOG_TABLES } from './tables';

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
  call(name: string, args: readonly unknown[]): Answer<unknown> {
    if (!isOperation(name)) return { error: `The coordinator knows no operation ${name}.` };
    return this.#run(() => programOf(name, args));
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
