import { ConfigError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';

const clusters = new WeakMap<object, ReadyCluster>();

/** Lets functions beside `$cluster` find its cluster, so that who does not import them does not carry their code. */
export function rememberCluster(api: object, cluster: ReadyCluster): void {
  clusters.set(api, cluster);
}

/** @throws ConfigError when it is no database of this package. */
export function readyCluster(db: { readonly $cluster: object }, caller: string): ReadyCluster {
  const cluster = clusters.get(db.$cluster);
  if (!cluster) throw new ConfigError(`${caller} needs the database that shardedDrizzle() has made.`);
  return cluster;
}
