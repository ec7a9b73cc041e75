import type { ShardedConfig } from '../../src';
import type { RemoteCatalog } from '../../src/catalog/coordinator-client';

type Coordinator = NonNullable<ShardedConfig['coordinator']>;

/** A coordinator's namespace, with the name of every operation that its objects were asked for, in order. */
export interface CountingCoordinator extends Coordinator {
  readonly calls: string[];
}

/**
 * Counts the RPC calls to the objects of a namespace, and fails those that `failOn` gives an error for. It is a binding of its own: what an isolate remembers of a cluster
 * hangs on that of its catalog.
 *
 * @example
 * const coordinator = countingCoordinator(env.SHARD_COORDINATOR);
 * await db.$cluster.shards();
 * coordinator.calls; // ['map', 'open', 'confirm']
 */
export function countingCoordinator(
  namespace: Coordinator,
  failOn: (method: string) => Error | undefined = () => undefined,
): CountingCoordinator {
  const calls: string[] = [];
  return {
    calls,
    idFromName: (name) => namespace.idFromName(name),
    get: (id) => {
      const stub = namespace.get(id) as RemoteCatalog;
      return {
        call: async (...[name, args]: Parameters<RemoteCatalog['call']>) => {
          calls.push(name);
          const error = failOn(name);
          if (error) throw error;
          return stub.call(name, args);
        },
      };
    },
  };
}
