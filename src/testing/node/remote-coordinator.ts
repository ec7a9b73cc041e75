import type { CoordinatorNamespace } from '../../catalog/coordinator-client';
import type { Ask } from './wire';

/**
 * The coordinators of a runtime that is another process. Miniflare's own proxy hands out what RPC answers as a stub whose
 * every property is a request of its own.
 */
export function remoteCoordinator(ask: Ask): CoordinatorNamespace {
  const idOf = (name: string): DurableObjectId => ({
    name,
    toString: () => name,
    equals: (other) => other.name === name,
  });
  return {
    idFromName: idOf,
    get: ({ name = 'default' }) => ({
      call: async (operation: string, args: readonly unknown[]) => {
        const { value } = await ask({
          kind: 'catalog',
          object: name,
          operation,
          args: { ...args },
          count: args.length,
        });
        return value;
      },
    }),
  };
}
