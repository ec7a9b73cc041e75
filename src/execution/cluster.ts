import type { QueryEvent, ShardedConfig } from '../config';
import { ConfigError } from '../errors';
import { Layout } from '../layout/layout';
import { HashPlacement } from '../placement/hash-placement';
import { PlanCache } from './plan-cache';
import { type Cluster, Executor } from './run';
import { type ShardClient, ShardSet } from './shard-set';

/** A configuration, checked and ready to run. */
export interface ReadyCluster {
  readonly databases: ReadonlyMap<string, D1Database>;
  readonly executor: Executor;
  readonly onQuery: ((event: QueryEvent) => void) | undefined;
  /** The same cluster over other clients: sessions. */
  readonly over: (clients: ReadonlyMap<string, ShardClient>) => Executor;
}

/** @throws ConfigError for every mistake that shows without asking a database. */
export function createCluster(config: ShardedConfig): ReadyCluster {
  const layout = Layout.fromConfig(config);
  if (config.strategy !== undefined && config.strategy !== 'hash') {
    throw new ConfigError(`strategy is '${String(config.strategy)}'.`, { remedy: "Write strategy: 'hash'." });
  }
  const concurrency = positive('concurrency', config.concurrency, 6);
  const limits = {
    rows: positive('limits.gatherRows', config.limits?.gatherRows, 250_000),
    bytes: positive('limits.gatherBytes', config.limits?.gatherBytes, 24 * 1024 * 1024),
  };
  const cluster: Cluster = {
    layout,
    placement: new HashPlacement(layout.shards),
    plans: new PlanCache(),
    limits,
    crossShardBatch: config.crossShardBatch ?? 'refuse',
    rehearseWrites: config.rehearseWrites ?? true,
  };
  const databases = new Map(Object.entries(config.shards));
  const over = (clients: ReadonlyMap<string, ShardClient>) => new Executor(cluster, new ShardSet(clients, concurrency));
  return { databases, executor: over(databases), onQuery: config.onQuery, over };
}

function positive(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value > 0) return value;
  throw new ConfigError(`${name} is ${value}.`, {
    remedy: `Write a whole number above 0; the default is ${fallback}.`,
  });
}
