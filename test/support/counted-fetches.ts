import { InterceptedD1 } from './intercepted-d1';
import { shards } from './shards';

/** One call of a shard: the rows of each statement, and its text. */
export interface Asked {
  readonly shard: string;
  readonly fetches: readonly { readonly sql: string; readonly rows: number }[];
}

export interface Counts {
  /** Calls since the last reset. */
  calls: Asked[];
}

/** The statement that finishes, and those that say how much there would be to fetch. */
const isFinish = (sql: string): boolean => sql.includes(' as materialized (') || sql.includes(' end as weight');

/** Rows that shards have sent, but for those of the statement that finishes. */
export const rowsFetched = ({ calls }: Counts): number =>
  calls.flatMap(({ fetches }) => fetches).reduce((sum, { sql, rows }) => sum + (isFinish(sql) ? 0 : rows), 0);

/** Calls that fetched rows of a table. */
export const callsFor = ({ calls }: Counts, table: string): Asked[] =>
  calls.filter(({ fetches }) => fetches.some(({ sql }) => !isFinish(sql) && sql.includes(` from "${table}"`)));

export function countedShards(count: number): { databases: Record<string, D1Database>; counts: Counts } {
  const counts: Counts = { calls: [] };
  const counted = Object.entries(shards(count)).map(([shard, database]) => [
    shard,
    new InterceptedD1(database, async (call, ask) => {
      const answer = await ask();
      // The first statement of a batch is the guard.
      const results = Array.isArray(answer) ? (answer as D1Result[]).slice(1) : [];
      counts.calls.push({
        shard,
        fetches: results.map(({ results: rows }, i) => ({ sql: call.statements[i + 1]?.sql ?? '', rows: rows.length })),
      });
      return answer;
    }),
  ]);
  return { databases: Object.fromEntries(counted) as Record<string, D1Database>, counts };
}
