import { DurableObject } from 'cloudflare:workers';
import type { Block, Catalog, OpenRequest, ShardMap } from './catalog';
import { checkBlockRequest, checkOpenRequest } from './check-request';
import { blockProgram, mapProgram, openProgram, type Program } from './programs';
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
export class ShardCoordinator extends DurableObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    ctx.storage.transactionSync(() => {
      for (const sql of CATALOG_TABLES) ctx.storage.sql.exec(sql);
    });
  }

  /** See {@link Catalog.open}. */
  open(request: OpenRequest): ShardMap {
    return this.#run(openProgram(request));
  }

  /** See {@link Catalog.map}. */
  map(): ShardMap | undefined {
    return this.#run(mapProgram);
  }

  /** See {@link Catalog.block}. */
  block(counter: string, size: number, atLeast?: number): Block {
    return this.#run(blockProgram(counter, size, atLeast));
  }

  #run<T>({ statements, read }: Program<T>): T {
    const { storage } = this.ctx;
    return storage.transactionSync(() =>
      read(statements.map(({ sql, params }) => storage.sql.exec<SqlRow>(sql, ...params).toArray())),
    );
  }
}

/**
 * The catalog in a {@link ShardCoordinator}. One call is one RPC.
 *
 * @param name The object's name; clusters that share a namespace need different ones.
 * @default name 'default'
 * @example
 * const catalog = coordinatorCatalog(env.SHARD_COORDINATOR);
 */
export function coordinatorCatalog(namespace: DurableObjectNamespace<ShardCoordinator>, name = 'default'): Catalog {
  // A stub that has thrown may stay broken, so each call takes a new one; getting it does no I/O.
  const stub = () => namespace.get(namespace.idFromName(name));
  return {
    async open(request) {
      // Here as well as there: an error that went through RPC has lost its class.
      checkOpenRequest(request);
      return stub().open(request);
    },
    async map() {
      return stub().map();
    },
    async block(counter, size, atLeast = 0) {
      checkBlockRequest(size, atLeast);
      return stub().block(counter, size, atLeast);
    },
  };
}
