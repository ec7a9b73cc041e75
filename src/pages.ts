import type { ReadyCluster } from './execution/cluster';
import { mapRows, type RowsQuery } from './execution/mapped';
import { pageOf } from './execution/page';
import { RowStream } from './execution/stream';

export interface PageOptions {
  /** The `next` of the page before; nothing for the first one. */
  after?: string | null | undefined;
}

/** Some rows of a query, and where those behind them begin. */
export interface Page<TRow> {
  rows: TRow[];
  /** A text that may stand in a URL. Undefined when fewer rows came than the LIMIT: it was the last page. */
  next: string | undefined;
}

export interface StreamOptions {
  /**
   * How many rows one fetch asks of one shard; so many of each shard may wait.
   *
   * @default 1000, and less where there are more than 20 shards
   */
  chunk?: number | undefined;
}

/** One page of a query, mapped as the query maps its rows. */
export async function page<TRow>(
  cluster: ReadyCluster,
  query: RowsQuery<TRow>,
  { after }: PageOptions = {},
): Promise<Page<TRow>> {
  let next: string | undefined;
  const rows = await mapRows(cluster, query, async (statement) => {
    const found = await pageOf(cluster, statement, after ?? undefined);
    next = found.next;
    return found.rows;
  });
  return { rows, next };
}

/** All rows of a query, one after the other, mapped as the query maps them. */
export async function* stream<TRow>(
  cluster: ReadyCluster,
  query: RowsQuery<TRow>,
  { chunk }: StreamOptions = {},
): AsyncGenerator<TRow, void, undefined> {
  let groups: ReturnType<RowStream['groups']> | undefined;
  let isDone = false;
  while (!isDone) {
    const rows = await mapRows(cluster, query, async (statement) => {
      groups ??= new RowStream(cluster, statement, chunk).groups();
      const { value, done } = await groups.next();
      isDone = done === true;
      return value ?? [];
    });
    yield* rows;
  }
}
