// The Worker around the tests: the runtime looks here for the classes of Durable Objects.
export { ShardCoordinator } from '../../src/catalog/coordinator';
export default {};
