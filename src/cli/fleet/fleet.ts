import type { Catalog } from '../../catalog/catalog';
import type { ReadyCluster } from '../../execution/cluster';
import { readyCluster } from '../../migrations/cluster-of';
import { type ShardedDatabase, shardedDrizzle } from '../../sharded-drizzle';
import { bindSharding } from '../../sharding';
import type { Project } from '../project/project';

/** Where the databases of a project are, and how they are reached. */
export interface Place {
  readonly where: 'local' | 'remote';
  /** The bindings of the Worker: its D1s, the KV namespace where there is one, and the coordinator. */
  readonly env: Readonly<Record<string, unknown>>;
  /** An empty D1 of this machine, to try things on. */
  scratch(): Promise<D1Database>;
  /** How to get a database back as it is now: only Cloudflare's can. */
  restorePoint?(shard: string): Promise<RestorePoint>;
  close(): Promise<void>;
}

export interface RestorePoint {
  readonly bookmark: string;
  /** The command that brings the database back to it. */
  readonly command: string;
}

/** The cluster of a project, in one place. */
export interface Fleet extends Place {
  readonly db: ShardedDatabase<Record<string, unknown>>;
  readonly databases: ReadonlyMap<string, D1Database>;
  readonly cluster: ReadyCluster;
  readonly catalog: Catalog;
}

export interface FleetSettings {
  readonly concurrency?: number | undefined;
  /** How long to wait for moves, and for another run, in milliseconds. */
  readonly waitMs?: number | undefined;
}

/**
 * The databases of a project as one, wherever they are.
 *
 * @param leftOut Shards of the configuration that are to be no part of it.
 */
export function fleetOf(
  project: Project,
  place: Place,
  { concurrency, waitMs }: FleetSettings,
  leftOut: ReadonlySet<string> = new Set(),
): Fleet {
  const { kv, ...all } = project.sharding;
  const isIn = <T>(byShard: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(byShard).filter(([shard]) => !leftOut.has(shard)));
  const { shards, shardLocations, shardWeights } = all;
  const sharding = {
    ...all,
    shards: isIn(shards),
    ...(shardLocations && { shardLocations: isIn(shardLocations) }),
    ...(shardWeights && { shardWeights: isIn(shardWeights) }),
  };
  const bound = bindSharding(
    // Hints are the Workers' business; without them the catalog is asked.
    kv !== undefined && kv in place.env ? { ...sharding, kv } : sharding,
    place.env as Parameters<typeof bindSharding>[1],
  );
  const db = shardedDrizzle({
    ...bound,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(waitMs === undefined ? {} : { moveTimeout: waitMs }),
  });
  const cluster = readyCluster(db, 'The command line');
  return {
    ...place,
    db: db as Fleet['db'],
    databases: cluster.databases,
    cluster,
    catalog: cluster.executor.cluster.resolver.catalog,
  };
}
