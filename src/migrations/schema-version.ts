import type { ReadyCluster } from '../execution/cluster';
import { ledgersOf, runOnShards, schemaShards } from './shards';

export interface ShardSchemaVersion<TShard extends string = string> {
  shard: TShard;
  /** How many migrations it has applied. */
  applied: number;
  /** Of the last one: Unix time in milliseconds, and the SHA-256 of its file. Undefined when it has none. */
  when?: number;
  hash?: string;
  /** Its folder, where Drizzle 1.0 has noted it. The ledger of 0.45 has no names. */
  tag?: string;
}

export interface SchemaVersion<TShard extends string = string> {
  /** All shards have applied the same migrations. */
  same: boolean;
  shards: ShardSchemaVersion<TShard>[];
}

export async function schemaVersion<TShard extends string>(cluster: ReadyCluster): Promise<SchemaVersion<TShard>> {
  const shards = await schemaShards(cluster);
  const ledgers = await ledgersOf(runOnShards(cluster), shards, cluster.executor.shards.options.concurrency);
  return {
    same: new Set([...ledgers.values()].map(({ fingerprint }) => fingerprint)).size <= 1,
    shards: [...ledgers].map(([shard, { entries }]) => {
      const last = entries.at(-1);
      return {
        shard: shard as TShard,
        applied: entries.length,
        ...(last ? { when: last.when, hash: last.hash, ...(last.name === null ? {} : { tag: last.name }) } : {}),
      };
    }),
  };
}
