import type { Catalog } from './catalog';
import { checkBlockRequest, checkOpenRequest } from './check-request';

/** An error goes back as a value: thrown over RPC, the runtime would report it as uncaught although the caller sees it. */
export type Answer<T> = { value: T } | { error: string };

/** {@link Catalog} on both sides of the RPC. */
export type RemoteCatalog = {
  [Name in keyof Catalog]: (
    ...args: Parameters<Catalog[Name]>
  ) => Answer<Awaited<ReturnType<Catalog[Name]>>> | Promise<Answer<Awaited<ReturnType<Catalog[Name]>>>>;
};

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
  // A stub that has thrown may stay broken, so each call takes a new one; getting it does no I/O.
  const stub = () => namespace.get(namespace.idFromName(name)) as RemoteCatalog;
  return {
    async open(request) {
      // Here as well as there: an error that went through RPC has lost its class.
      checkOpenRequest(request);
      return unwrap(await stub().open(request));
    },
    async map() {
      return unwrap(await stub().map());
    },
    async confirm(done) {
      return unwrap(await stub().confirm(done));
    },
    async block(counter, size, atLeast) {
      checkBlockRequest(size, atLeast);
      return unwrap(await stub().block(counter, size, atLeast));
    },
    async sequence(name, size, atLeast) {
      checkBlockRequest(size, atLeast);
      return unwrap(await stub().sequence(name, size, atLeast));
    },
  };
}

function unwrap<T>(answer: Answer<T>): T {
  if ('error' in answer) throw new Error(answer.error);
  return answer.value;
}
