import type { CoordinatorNamespace } from '../catalog/coordinator-client';

/** What a test cluster stands on: databases and all else that is real, wherever it runs. */
export interface Backend {
  readonly databases: Readonly<Record<string, D1Database>>;
  readonly kv: KVNamespace | undefined;
  readonly coordinator: CoordinatorNamespace | undefined;
  /** Empties all of it, as far as it is the cluster's of this name. */
  empty(cluster: string): Promise<void>;
  dispose(): Promise<void>;
}

/** The names in KV that are a cluster's. */
export const kvPrefix = (cluster: string): string => `sharded-drizzle:${cluster}:`;
