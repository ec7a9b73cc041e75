import type { Catalog } from './catalog';
import { catalogThrough, type OperationName, programOf } from './operations';

/** An error goes back as a value: thrown over RPC, the runtime would report it as uncaught although the caller sees it. */
export type Answer<T> = { value: T } | { error: string };

/** A `ShardCoordinator` on both sides of the RPC. */
export interface RemoteCatalog {
  call(name: OperationName, args: readonly unknown[]): Answer<unknown> | Promise<Answer<unknown>>;
}

/** The binding of `ShardCoordinator`, as far as it is used. The class itself needs `cloudflare:workers`, which only workerd has. */
export interface CoordinatorNamespace {
  idFromName(name: string): DurableObjectId;
  // A stub's own type depends on the class; what it answers is what the class says.
  get(id: DurableObjectId): object;
}

/**
 * The catalog in a `ShardCoordinator`. One call is one RPC.
 *
 * @param name The object's name; clusters that share a namespace need different ones.
 * @default name 'default'
 * @example
 * const catalog = coordinatorCatalog(env.SHARD_COORDINATOR);
 */
export function coordinatorCatalog(namespace: CoordinatorNamespace, name = 'default'): Catalog {
  return catalogThrough(async (operation, args) => {
    // Here as well as there: an error that went through RPC has lost its class.
    programOf(operation, args);
    // A stub that has thrown may stay broken, so each call takes a new one; getting it does no I/O.
    const stub = namespace.get(namespace.idFromName(name)) as RemoteCatalog;
    const answer = await stub.call(operation, args);
    if ('error' in answer) throw new Error(answer.error);
    return answer.value;
  });
}
