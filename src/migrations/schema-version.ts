import type { ReadyCluster } from '../execution/cluster';
import { type MigrationBundle, readMigrations } from './bundle';
import { migrationOf, withHashes } from './hashed';
import { askShards, runOnShards, schemaShards } from './shards';

export interface ShardSchemaVersion<TShard extends string = string> {
  shard: TShard;
  /** How many migrations it has applied. */
  applied: number;
  /** Of the last one: Unix time in milliseconds, and the SHA-256 of its file. Undefined when it has none. */
  when?: number;
  hash?: string;
  /** Its name, where the bundle knows it, or Drizzle 1.0 has noted it. The ledger of 0.45 has no names. */
  tag?: string;
}

export interface SchemaVersion<TShard extends string = string> {
  /** All shards have applied the same migrations. */
  same: boolean;
  shards: ShardSchemaVersion<TShard>[];
}

export async function schemaVersion<TShard extends string>(
  cluster: ReadyCluster,
  bundle?: MigrationBundle,
): Promise<SchemaVersion<TShard>> {
  const folder = bundle && (await withHashes(readMigrations(bundle)));
  const names = await schemaShards(cluster);
  const { concurrency } = cluster.executor.shards.options;
  const fingerprints = new Set<string>();
  const reading = { names, run: runOnShards(cluster) };
  const shards = await askShards(reading, concurrency, [], (shard, { ledger }) => {
    fingerprints.add(ledger.fingerprint);
    const last = ledger.entries.at(-1);
    const tag = last && ((folder && migrationOf(folder, last)?.tag) ?? last.name ?? undefined);
    return {
      shard: shard as TShard,
      applied: ledger.entries.length,
      ...(last ? { when: last.when, hash: last.hash, ...(tag === undefined ? {} : { tag }) } : {}),
    };
  });
  return { same: fingerprints.size <= 1, shards };
}
