export type { Region as D1Region } from '../placement/regions';
export { type CollegeDB, createCollegeDB, type PreparedStatement, type ShardStats } from './college';
export type { CollegeDBConfig, MixedStrategy } from './config';
export { CollegeDBError, KeyMismatchError } from './errors';
export {
  all,
  collegedb,
  first,
  flush,
  getShardStats,
  initialize,
  initializeAsync,
  listKnownShards,
  prepare,
  reassignShard,
  resetConfig,
  run,
} from './functions';
export {
  type Contradiction,
  type ImportOptions,
  type ImportReport,
  importCollegeDBMappings,
  type RecordedConflict,
} from './import';
export {
  autoDetectAndMigrate,
  checkMigrationNeeded,
  createMappingsForExistingKeys,
  type IntegrationOptions,
  type IntegrationResult,
  integrateExistingDatabase,
  type MigrationOptions,
  type MigrationResult,
} from './integrate';
export type { ShardMapping } from './kv-records';
export { KVShardMapper, type MapperOptions } from './mapper';
export { clearMigrationCache } from './migration-cache';
export { getClosestRegionFromIP } from './region';
export {
  createSchema,
  discoverExistingPrimaryKeys,
  listTables,
  type PrimaryKeys,
  type ValidationResult,
  validateTableForSharding,
} from './tables';
