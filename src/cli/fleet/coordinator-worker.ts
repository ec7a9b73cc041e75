import { catalogEndpoint } from '../../catalog/catalog-endpoint';
import type { CoordinatorNamespace } from '../../catalog/coordinator-client';

export { ShardCoordinator } from '../../catalog/coordinator';

interface Env {
  readonly SHARDED_COORDINATOR: CoordinatorNamespace;
  readonly SHARDED_SECRET: string;
}

/** Stands in for the user's Worker where the command line uses the coordinator of this machine. */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const options = { coordinator: env.SHARDED_COORDINATOR, secret: env.SHARDED_SECRET };
    return (await catalogEndpoint(request, options)) ?? new Response('Not found', { status: 404 });
  },
};
