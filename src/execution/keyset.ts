import { TablesNeeded } from '../layout/layout';
import { type Keyset, planKeyset } from '../plan/keyset';
import type { Executor } from './run';

/** Plans the rewriting of a query, with its tables as the database has them: they are asked for where that is not known. */
export async function keysetOf(executor: Executor, sql: string, asked: string): Promise<Keyset> {
  for (;;) {
    try {
      return planKeyset(sql, executor.cluster.planner.layout, asked);
    } catch (error) {
      if (!(error instanceof TablesNeeded)) throw error;
      await executor.ask(error.names, sql, await executor.attempt(false));
    }
  }
}
