export type { Limits, QueryEvent, ShardedConfig, ShardLocation, TableRule, TableRules } from './config';
export {
  ConfigError,
  CrossShardBatchError,
  type ErrorDetails,
  GatherLimitError,
  MissingShardError,
  MoveInProgressError,
  PartialWriteError,
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
export type { ClusterStats, ShardStats, TableStats } from './execution/stats';
export type { Region, Whereabouts } from './placement/regions';
export type { Candidate, PlaceKey, Strategy, StrategyName } from './placement/strategies';
export { shardedD1 } from './sharded-d1';
export {
  type ClusterApi,
  type Explainable,
  type ShardedDatabase,
  type ShardedHelpers,
  type ShardStatus,
  type SqlText,
  shardedDrizzle,
} from './sharded-drizzle';
export { CHANNELS, type MoveEvent, type RetryEvent, type RouteEvent } from './telemetry/channels';
export type { ShardTelemetry, TelemetrySnapshot } from './telemetry/counters';
export type { LatencySnapshot } from './telemetry/histogram';
export { ServerTiming } from './telemetry/server-timing';
