import type { Block, CatalogView } from '../catalog/catalog';
import { ShardCoordinator } from '../catalog/coordinator';
import type { OperationName } from '../catalog/operations';
import { type CoordinatorStore, coordinatorFetch, type ReportedCounts } from './coordinator-http';

const COUNTS = 'collegedb:counts';

/**
 * {@link ShardCoordinator} with CollegeDB's HTTP endpoints `/shards`, `/stats`, `/allocate`, `/sequence`, `/flush` and
 * `/health`. All but the last want `Authorization: Bearer <COLLEGEDB_SECRET>`, a secret of the Worker.
 *
 * @example
 * export { ShardCoordinator } from 'sharded-drizzle/collegedb';
 *
 * const stub = env.SHARD_COORDINATOR.get(env.SHARD_COORDINATOR.idFromName('default'));
 * await stub.fetch('http://coordinator/shards', { headers: { authorization: `Bearer ${env.COLLEGEDB_SECRET}` } });
 */
export class CollegeDBCoordinator extends ShardCoordinator {
  override fetch(request: Request): Promise<Response> {
    const { COLLEGEDB_SECRET: secret } = this.env as { COLLEGEDB_SECRET?: unknown };
    return coordinatorFetch(request, this.#store(), typeof secret === 'string' ? secret : undefined);
  }

  /** Adds one to the count that `/stats` tells. The package never calls it: `getShardStats()` counts the rows. */
  incrementShardCount(shard: string): Promise<void> {
    return this.#count(shard, 1);
  }

  /** Takes one from it, down to 0. */
  decrementShardCount(shard: string): Promise<void> {
    return this.#count(shard, -1);
  }

  async #count(shard: string, by: number): Promise<void> {
    const store = this.#store();
    const counts = await store.counts();
    const count = Math.max(0, (counts[shard]?.count ?? 0) + by);
    await store.setCounts({ ...counts, [shard]: { count, lastUpdated: Date.now() } });
  }

  #store(): CoordinatorStore {
    const { storage } = this.ctx;
    const ask = async <T>(name: OperationName, args: readonly unknown[]): Promise<T> => {
      const answer = await this.call(name, args);
      if ('error' in answer) throw new Error(answer.error);
      return answer.value as T;
    };
    return {
      map: async () => (await ask<CatalogView | undefined>('map', []))?.map,
      block: (counter, atLeast) => ask<Block>('block', [counter, 1, atLeast]),
      counts: async () => (await storage.get<ReportedCounts>(COUNTS)) ?? {},
      setCounts: (counts) => storage.put(COUNTS, counts),
    };
  }
}
