export type { Limits, QueryEvent, ShardedConfig, TableRule, TableRules } from './config';
export {
  ConfigError,
  CrossShardBatchError,
  type ErrorDetails,
  GatherLimitError,
  PartialWriteError,
  ShardedDrizzleError,
  ShardKeyChangeError,
  ShardKeyError,
  type ShardOutcome,
  ShardQueryError,
  SqlSyntaxError,
  TransactionError,
  UnknownOutcomeError,
  UnknownTableError,
  UnsupportedStatementError,
} from './errors';
export type { ExplainedStep, Explanation } from './execution/explain';
export type { ClusterStats, ShardStats, TableStats } from './execution/stats';
export { shardedD1 } from './sharded-d1';
export {
  type ClusterApi,
  type Explainable,
  type ShardedDatabase,
  type ShardedHelpers,
  type SqlText,
  shardedDrizzle,
} from './sharded-drizzle';
