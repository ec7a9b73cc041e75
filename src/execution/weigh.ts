import { raise } from '../placement/guard';
import type { BoundStatement } from '../sql/bound';
import type { GatherFetch } from './route';

/** How much may be fetched for one statement. */
export interface FetchLimits {
  readonly rows: number;
  /** Characters of JSON. */
  readonly bytes: number;
}

/**
 * Nothing says that the rows are few. A shard works out how much they are before any of them travels, about an eighth of what
 * fetching them takes: what is refused after it has come may be more than a Worker has memory for.
 */
export const isWeighed = ({ all, top, table }: GatherFetch): boolean =>
  all && !top && table.links.length === 0 && table.table.placement.kind === 'sharded';

/** Goes before the fetch, in its batch: an error where one shard alone has too much. `at` says of which fetch. */
export function weighStatement(fetch: BoundStatement, at: number, arrays: number, limits: FetchLimits): BoundStatement {
  const length = Array.from({ length: arrays }, (_, i) => `length("__shard_r${i}")`).join(' + ');
  return {
    sql: `select case when n > ${limits.rows} or b > ${limits.bytes} then ${raise(`'GATHER_LIMIT ${at} ' || n`)} end as weight
      from (select count(*) as n, total(${length}) as b from (${fetch.sql}))`,
    params: fetch.params,
  };
}

/** Which fetch was too much, if that is the error. */
export function tooHeavy(error: unknown): number | undefined {
  const found = error instanceof Error ? /'GATHER_LIMIT (\d+) /.exec(error.message) : null;
  return found ? Number(found[1]) : undefined;
}
