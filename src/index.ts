export type { AdoptionReport, AdoptSettings } from './adoption/cluster-adoption';
export type { ConflictRule, ConflictRules } from './adoption/decide';
export type { AdoptionIssue, AdoptionPlan, SharedIds } from './adoption/plan';
export type { ResolvedRows, ResolveReport } from './adoption/resolve';
export type { AdoptionConflict } from './catalog/adoptions';
export { CATALOG_PATH, type CatalogEndpointOptions, catalogEndpoint } from './catalog/catalog-endpoint';
export type { Job, JobKind, JobOptions, JobState, JobStep, Move } from './catalog/journal';
export type { ClusterApi, ShardStatus } from './cluster-api';
export type { Limits, QueryEvent, ShardedConfig, ShardLocation, TableRule, TableRules } from './config';
export {
  AdoptionConflictError,
  ConfigError,
  CrossShardBatchError,
  CursorError,
  type ErrorDetails,
  GatherLimitError,
  MissingShardError,
  MoveConflictError,
  MoveInProgressError,
  MoveRefusedError,
  PartialWriteError,
  QueryLimitError,
  ScatterError,
  SchemaBehindError,
  ShardedDrizzleError,
  ShardIdentityError,
  ShardKeyChangeError,
  ShardKeyError,
  type ShardOutcome,
  ShardQueryError,
  SqlSyntaxError,
  StaleRouteError,
  TransactionError,
  UnknownOutcomeError,
  UnknownTableError,
  UnsupportedStatementError,
} from './errors';
export type { ExplainedStep, Explanation } from './execution/explain';
export type { RowsQuery } from './execution/mapped';
export type { ClusterStats, ShardStats, TableStats } from './execution/stats';
export {
  type FolderBundle,
  type JournalBundle,
  type Migration,
  type MigrationBundle,
  type MigrationFolder,
  readMigrations,
} from './migrations/bundle';
export {
  MigrationFailedError,
  MigrationRefusedError,
  type MigrationReport,
  MigrationStoppedError,
  type Obstacle,
  type ShardMigration,
} from './migrations/errors';
export { type Inspection, type InspectOptions, inspectShards, type ShardInspection } from './migrations/inspect-shards';
export { type MigrateOptions, migrateShards } from './migrations/migrate-shards';
export { compareSchemas, type SchemaDifference } from './migrations/schema/compare';
export { describeSchema } from './migrations/schema/describe';
export { type ExpectedSchemaOptions, expectedSchema, type SchemaAfter } from './migrations/schema/expected';
export type {
  Schema,
  SchemaColumn,
  SchemaForeignKey,
  SchemaIndex,
  SchemaTable,
  SchemaText,
} from './migrations/schema/schema';
export type { SchemaVersion, ShardSchemaVersion } from './migrations/schema-version';
export type { MovePlan } from './moves/estimate';
export type { JobReport, JobSettings, RebalanceSettings } from './moves/job-settings';
export type { JobStatus } from './moves/job-status';
export type { PlannedMove } from './moves/plan';
export type { Page, PageOptions, StreamOptions } from './pages';
export type { Region, Whereabouts } from './placement/regions';
export type { Candidate, PlaceKey, Strategy, StrategyName } from './placement/strategies';
export { shardedD1 } from './sharded-d1';
export {
  type Explainable,
  type ShardedDatabase,
  type ShardedHelpers,
  type SqlText,
  shardedDrizzle,
} from './sharded-drizzle';
export { bindSharding, defineSharding, type Sharding, type ShardingEnv } from './sharding';
export { CHANNELS, type MoveEvent, type RetryEvent, type RouteEvent } from './telemetry/channels';
export type { ShardTelemetry, TelemetrySnapshot } from './telemetry/counters';
export type { LatencySnapshot } from './telemetry/histogram';
export { ServerTiming } from './telemetry/server-timing';
export type { Finding, RecordNote, TableCount, VerifyReport } from './verify/finding';
export type { VerifySettings } from './verify/verify';
