// The Worker around the tests: the runtime looks here for the classes of Durable Objects.
export { ShardCoordinator } from '../../src/catalog/coordinator';
export { CollegeDBCoordinator } from '../../src/collegedb/workerd';
export default {};
