import type { MoveIo } from './io';
import { collect } from './steps';

/** COLLECT on some shards: what closed moves have left there. */
export async function collectOn(io: MoveIo, shards: readonly string[]): Promise<void> {
  const floor = await io.catalog.floor();
  for (const shard of new Set(shards)) await io.run(shard, collect(io.cluster, shard, floor));
}
