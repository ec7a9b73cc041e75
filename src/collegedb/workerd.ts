/** What a Worker imports: CollegeDB's functions, and the Durable Object, whose base class only workerd has. */
export { CollegeDBCoordinator, CollegeDBCoordinator as ShardCoordinator } from './coordinator';
export * from './index';
