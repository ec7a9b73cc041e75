/** What a Worker imports: the package, and the Durable Object, whose base class only workerd has. */
export type {
  Block,
  CatalogView,
  Enrolled,
  Enrolment,
  KeyspaceMap,
  OpenRequest,
  ShardInfo,
  ShardMap,
  SlotRange,
} from './catalog/catalog';
export { ShardCoordinator } from './catalog/coordinator';
export type { Answer, RemoteCatalog } from './catalog/coordinator-client';
export * from './index';
