import { ConfigError } from '../errors';

export * from './index';

/** Outside of workerd there are no Durable Objects; the name is here so that a Worker's module can be loaded. */
export class CollegeDBCoordinator {
  constructor() {
    throw new ConfigError('CollegeDBCoordinator is a Durable Object, and runs in workerd only.');
  }
}
export { CollegeDBCoordinator as ShardCoordinator };
