import type { ReadyCluster } from '../execution/cluster';

const clusters = new WeakMap<object, ReadyCluster>();

/** Lets functions beside `$cluster` find its cluster, so that who does not import them does not carry their code. */
export function rememberCluster(api: object, cluster: ReadyCluster): void {
  clusters.set(api, cluster);
}

export const clusterOf = (api: object): ReadyCluster | undefined => clusters.get(api);
