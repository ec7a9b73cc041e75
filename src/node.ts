import { ConfigError } from './errors';

export * from './index';

/** Outside of workerd there are no Durable Objects; the name is here so that a Worker's module can be loaded. */
export class ShardCoordinator {
  constructor() {
    throw new ConfigError('ShardCoordinator is a Durable Object, and runs in workerd only.');
  }
}
