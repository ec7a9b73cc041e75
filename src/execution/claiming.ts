import { ConfigError, UnknownTableError, UnsupportedStatementError } from '../errors';
import { isSystemTable, type Table } from '../layout/table';
import type { ClaimKeys } from '../placement/attempt';
import { Claimer } from '../placement/claimer';
import type { Executor } from './run';

/** How new keys of a keyspace are placed; undefined where they stay on their home. */
export function claimerFor(executor: Executor, keyspace: string): ClaimKeys | undefined {
  const { strategies, numbers } = executor.cluster;
  const strategy = strategies.of(keyspace);
  if (strategy === 'hash') return undefined;
  const { shards } = executor;
  const claimer = new Claimer(strategy, {
    near: executor.near ?? strategies.near,
    priorityOf: (shard) => strategies.locations[shard]?.priority ?? 1,
    turns: (name, count, atMost) => numbers.turns(name, count, atMost),
    forEach: (items, each) => shards.forEach(items, each),
    // Claiming twice finds the first claim, so that it may be repeated like a read.
    run: async (shard, keys, statements) => ({
      last: (await shards.rowsUnlessRefused(shard, statements, keys)).at(-1) ?? [],
    }),
    tablesOf: (shard, list) => tablesOf(executor, shard, list?.split('\n') ?? []),
  });
  return (attempt, name, keys) => claimer.claim(attempt, name, keys);
}

/** The user's tables of a database. Those that cannot be used through the router hold no rows that it has placed. */
export async function tablesOf(executor: Executor, shard: string, names: readonly string[]): Promise<Table[]> {
  const { layout } = executor.cluster.planner;
  const tables: Table[] = [];
  for (const name of names) {
    if (isSystemTable(name)) continue;
    try {
      if (!layout.find(name)) {
        const purpose = { tables: [name], write: false };
        await executor.shards.on(shard, name, purpose, (client) => layout.discover(name, client));
      }
    } catch (error) {
      const isUnusable =
        error instanceof ConfigError ||
        error instanceof UnknownTableError ||
        error instanceof UnsupportedStatementError;
      if (!isUnusable) throw error;
    }
    const table = layout.find(name);
    if (table) tables.push(table);
  }
  return tables;
}
