import { DurableObject } from 'cloudflare:workers';
import type { Block, CatalogView, Enrolled, OpenRequest } from './catalog';
import { confirmProgram } from './confirm';
import type { Answer, RemoteCatalog } from './coordinator-client';
import { blockProgram, sequenceProgram } from './numbers';
import { openProgram } from './open';
import type { Program } from './program';
import { CATALOG_TABLES } from './tables';
import { mapProgram } from './view';

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

  /** See {@link Catalog.open}. */
  open(request: OpenRequest): Answer<CatalogView> {
    return this.#run(openProgram(request));
  }

  /** See {@link Catalog.map}. */
  map(): Answer<CatalogView | undefined> {
    return this.#run(mapProgram);
  }

  /** See {@link Catalog.confirm}. */
  confirm(done: Enrolled[]): Answer<CatalogView> {
    return this.#run(confirmProgram(done));
  }

  /** See {@link Catalog.block}. */
  block(counter: string, size: number, atLeast?: number): Answer<Block> {
    return this.#run(blockProgram(counter, size, atLeast));
  }

  /** See {@link Catalog.sequence}. */
  sequence(name: string, size: number, atLeast?: number): Answer<Block | undefined> {
    return this.#run(sequenceProgram(name, size, atLeast));
  }

  #run<T>({ statements, read }: Program<T>): Answer<T> {
    const { storage } = this.ctx;
    try {
      const value = storage.transactionSync(() =>
        read(statements.map(({ sql, params }) => storage.sql.exec<SqlRow>(sql, ...params).toArray())),
      );
      return { value };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
