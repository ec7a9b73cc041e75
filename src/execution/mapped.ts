import { drizzle } from 'drizzle-orm/d1';
import { UnsupportedStatementError } from '../errors';
import type { Row } from '../merge/merge-rows';
import type { BoundStatement } from '../sql/bound';
import type { ReadyCluster } from './cluster';
import { emptyMeta } from './shard-set';
import { ShardedStatement } from './statement';

/** A Drizzle query that gives a list of rows: `db.select()...`, `db.query.users.findMany(...)`. */
export type RowsQuery<TRow> = PromiseLike<readonly TRow[]> & { toSQL(): { sql: string; params: unknown[] } };

/**
 * Lets a query map rows that are fetched otherwise than it says: in a batch Drizzle hands the database the statement and maps
 * what comes back, and this database fetches what it likes.
 */
export async function mapRows<TRow>(
  { executor, onQuery }: ReadyCluster,
  query: RowsQuery<TRow>,
  fetch: (statement: BoundStatement) => Promise<readonly Row[]>,
): Promise<TRow[]> {
  if (typeof query?.toSQL !== 'function' || !('_prepare' in query)) {
    throw new UnsupportedStatementError('It is no query whose rows Drizzle can map.', {
      remedy: 'Give it db.select()... or db.query.<table>.findMany(...), not awaited, prepared or written with sql.',
    });
  }
  const client = {
    prepare: (sql: string) => new ShardedStatement(executor, onQuery, sql),
    batch: async ([statement]: D1PreparedStatement[]) => {
      if (!(statement instanceof ShardedStatement)) {
        throw new UnsupportedStatementError('The query was made with another database.', {
          remedy: 'Make it with this one.',
        });
      }
      const rows = await fetch(statement);
      return [{ success: true, meta: emptyMeta(), results: rows.map(toObject) }];
    },
  };
  const [rows] = (await drizzle(client as unknown as D1Database).batch([query as never])) as unknown as [TRow[]];
  if (Array.isArray(rows)) return rows;
  throw new UnsupportedStatementError('The query gives one row and no list.', {
    remedy: 'Write findMany for findFirst.',
  });
}

/** Of such a row Drizzle reads the values in their order. */
const toObject = (row: Row): Record<string, unknown> => Object.fromEntries(row.map((value, i) => [`c${i}`, value]));
