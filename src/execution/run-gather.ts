import { GatherLimitError, ShardQueryError } from '../errors';
import type { Attempt } from '../placement/attempt';
import { queriesOf } from './budget';
import { gather } from './gather';
import type { GatherRoute } from './route';
import { demandOf, type Executor } from './run';
import { rowsOf, type ShardRows } from './shard-set';

/**
 * Fetches what a read needs and finishes it on one shard; in another way where the first one will not do.
 *
 * @param used How many queries other ways have taken before.
 */
export async function runGather(
  executor: Executor,
  route: GatherRoute,
  attempt: Attempt,
  tables: readonly string[],
  used = 0,
): Promise<ShardRows> {
  const goOn = async (otherwise: () => Promise<GatherRoute>) => {
    const next = await otherwise();
    const sum = used + queriesOf(route, false);
    executor.checkQueries([next], tables, sum);
    return runGather(executor, next, attempt, tables, sum);
  };
  try {
    const { finish, leastRows } = await gather(route, executor, attempt, tables);
    const demand = demandOf(attempt, route.finishOn, [], false);
    const { results } = await executor.shards.guarded(demand, [finish], { tables, write: false });
    const answer = rowsOf(results[0] as D1Result);
    return route.otherwise && answer.rows.length < leastRows ? goOn(route.otherwise) : answer;
  } catch (error) {
    if (!route.otherwise || !outgrows(error)) throw error;
    return goOn(route.otherwise);
  }
}

/** Partial sums and texts may be too large where the rows themselves are not. */
const outgrows = (error: unknown): boolean =>
  error instanceof GatherLimitError ||
  (error instanceof ShardQueryError && /integer overflow|string or blob too big/.test(error.message));
