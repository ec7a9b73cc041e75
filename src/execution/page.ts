import { UnsupportedStatementError } from '../errors';
import type { Row } from '../merge/merge-rows';
import { readCursor, writeCursor } from '../plan/cursor';
import type { BoundStatement } from '../sql/bound';
import type { ReadyCluster } from './cluster';
import { keysetOf } from './keyset';
import { ShardedStatement } from './statement';

export interface RowPage {
  readonly rows: readonly Row[];
  /** Undefined where fewer rows came than were asked for. */
  readonly next: string | undefined;
}

/** The first `limit` rows of a query behind a cursor. A cursor that is none costs no round trip for rows. */
export async function pageOf(
  { executor, onQuery }: ReadyCluster,
  { sql, params }: BoundStatement,
  after: string | undefined,
): Promise<RowPage> {
  const keyset = await keysetOf(executor, sql, '$page');
  const limit = keyset.limit(params);
  if (!limit) {
    throw new UnsupportedStatementError(`$page: the query has ${limit === 0 ? 'a LIMIT of 0' : 'no LIMIT'}.`, {
      sql,
      remedy: 'Add .limit(20), or read all rows with $stream.',
    });
  }
  const fingerprint = keyset.fingerprint(params);
  const position = after === undefined ? undefined : readCursor(after, fingerprint, keyset.termCount);
  const statement = keyset.statement(params, position, limit);
  const found = await new ShardedStatement(executor, onQuery, statement.sql, statement.params).raw();
  const last = found.length < limit ? undefined : found.at(-1);
  return { rows: found.map((row) => row.slice(0, -1)), next: last && writeCursor(fingerprint, String(last.at(-1))) };
}
