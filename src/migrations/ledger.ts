import { raise } from '../placement/guard';
import type { BoundStatement } from '../sql/bound';

/** Drizzle's table of the migrations that a database has had. */
export const LEDGER = '__drizzle_migrations';

export interface LedgerEntry {
  /** Drizzle 0.45 leaves `id` empty. */
  readonly rowid: number;
  readonly hash: string;
  readonly when: number;
  /** The folder of Drizzle 1.0; null in a row of 0.45. */
  readonly name: string | null;
}

/** What a shard has applied. */
export interface Ledger {
  /** `names`: with the columns that Drizzle 1.0 adds. */
  readonly layout: 'missing' | 'plain' | 'names';
  /** The oldest first. */
  readonly entries: readonly LedgerEntry[];
  /** Times and hashes as one text: of two shards that have applied the same it is the same. */
  readonly fingerprint: string;
}

type Row = Readonly<Record<string, unknown>>;
/** One batch on one shard; the rows of each statement. */
export type RunOnShard = (shard: string, statements: readonly BoundStatement[]) => Promise<Row[][]>;

const FINGERPRINT = `(select coalesce(group_concat(entry, ','), '') from (
  select coalesce(created_at, '') || ' ' || hash as entry from "${LEDGER}" order by created_at, hash))`;

const READ: readonly BoundStatement[] = [
  `select name from pragma_table_info('${LEDGER}')`,
  `select rowid as row_id, * from "${LEDGER}" order by created_at, rowid`,
  `select ${FINGERPRINT} as fingerprint`,
].map((sql) => ({ sql, params: [] }));

const CHANGED = 'LEDGER_CHANGED';

/** Fails, and rolls its batch back, unless the ledger is what was read: a late or repeated batch cannot apply twice. */
export const ledgerIs = ({ fingerprint }: Pick<Ledger, 'fingerprint'>): BoundStatement => ({
  sql: `select case when ${FINGERPRINT} is not ?1 then ${raise(`'${CHANGED}'`)} end as unchanged`,
  params: [fingerprint],
});

export const isLedgerChanged = (error: unknown): boolean => messageOf(error).includes(CHANGED);

/** What a shard has applied, and what statements that were asked along with it have answered. */
export interface Answered {
  readonly ledger: Ledger;
  readonly also: readonly Row[][];
}

/**
 * The migrations that a shard has applied, as Drizzle 0.45 or 1.0 has noted them. Without the table: none.
 *
 * @throws ShardQueryError when it does not answer.
 */
export const ledgerOf = async (run: RunOnShard, shard: string): Promise<Ledger> =>
  (await ledgerReader(run, [])(shard)).ledger;

/**
 * The same of many shards, with other reads in the same batch. A batch that reads a table which is not there fails as a whole, so
 * that each shard is first taken to be like the one that has answered last: most often all are alike, and one batch does.
 */
export function ledgerReader(run: RunOnShard, also: readonly BoundStatement[]): (shard: string) => Promise<Answered> {
  let isMissing = false;
  return async (shard) => {
    if (isMissing) {
      const [columns = [], ...rest] = await run(shard, [...READ.slice(0, 1), ...also]);
      if (columns.length === 0) return { ledger: NONE, also: rest };
      isMissing = false;
    }
    try {
      const results = await run(shard, [...READ, ...also]);
      return { ledger: ledgerFrom(results), also: results.slice(READ.length) };
    } catch (error) {
      if (!messageOf(error).includes(`no such table: ${LEDGER}`)) throw error;
      isMissing = true;
      // It has taken the others along.
      return { ledger: NONE, also: also.length > 0 ? await run(shard, also) : [] };
    }
  };
}

const ledgerFrom = ([columns = [], rows = [], last = []]: readonly Row[][]): Ledger => ({
  layout: columns.some(({ name }) => name === 'name') ? 'names' : 'plain',
  entries: rows.map((row) => ({
    rowid: Number(row.row_id),
    hash: String(row.hash),
    when: Number(row.created_at),
    name: typeof row.name === 'string' ? row.name : null,
  })),
  fingerprint: String(last[0]?.fingerprint ?? ''),
});

const NONE: Ledger = { layout: 'missing', entries: [], fingerprint: '' };

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
