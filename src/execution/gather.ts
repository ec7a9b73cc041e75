import { GatherLimitError } from '../errors';
import type { Column } from '../layout/table';
import type { Attempt } from '../placement/attempt';
import { COLUMNS_PER_ARRAY } from '../plan/plan-gather';
import { positionalSelect } from '../plan/positional';
import type { BoundStatement } from '../sql/bound';
import { joinWithin, valueAt } from '../sql/json-values';
import { MAX_PARAMS } from '../sql/template';
import { quoteName } from '../sql/tokens';
import { askBalanced } from './balance';
import type { GatherRoute } from './route';
import { type Executor, spreadDemand } from './run';
import { type Answer, rowsOf } from './shard-set';

/** A bound string may be 2 MB; a UTF-16 unit is at most 3 bytes of UTF-8. */
const CHUNK_LENGTH = 600_000;
/** D1 takes at most 5 terms in a compound SELECT; more are nested. */
const COMPOUND_TERMS = 5;

export interface GatherLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** The rows of one table as pieces of JSON arrays, each short enough to be bound. */
interface Gathered {
  readonly chunks: readonly string[];
  /** Some value is of a type that its column's affinity does not convert to: it has to be carried as it is. */
  readonly exact: boolean;
}

/**
 * Fetches the rows and writes the statement that finishes on one shard. Rows travel as JSON text that SQLite made and SQLite
 * reads: JavaScript never parses it, so 64-bit integers and the difference of 1 and 1.0 survive.
 */
export async function gather(
  route: GatherRoute,
  { shards, cluster }: Executor,
  attempt: Attempt,
  tables: readonly string[],
): Promise<BoundStatement> {
  const { limits } = cluster;
  // By shard, as one may be asked again.
  const counted = new Map<string, { rows: number; bytes: number }>();
  const fetchesOf = (shard: string) => route.fetches.filter((fetch) => fetch.shards.includes(shard));
  // All that one shard has to give comes in one batch: its rows are of one moment.
  const ask = async (shard: string): Promise<Answer> => {
    const fetches = fetchesOf(shard);
    // Where rows of any key are fetched, the digests of all shards say that none is missing and none comes twice.
    const keys = fetches.flatMap((fetch) => (fetch.all ? [] : fetch.keys));
    const statements = fetches.map(({ statement: { sql, params } }) => ({
      sql: `${sql} limit ${limits.rows + 1}`,
      params,
    }));
    const demand = spreadDemand(attempt, shard, { keys }, false);
    const answer = await shards.guarded(demand, statements, { tables, write: false });
    const own = { rows: 0, bytes: 0 };
    counted.set(shard, own);
    for (const [i, { results }] of answer.results.entries()) {
      own.rows += results.length;
      for (const row of results) own.bytes += sizeOf(row as Record<string, unknown>);
      const name = fetches[i]?.table.table.name ?? '';
      const sum = (what: 'rows' | 'bytes') => [...counted.values()].reduce((all, one) => all + one[what], 0);
      if (sum('rows') > limits.rows || sum('bytes') > limits.bytes) throw tooMuch(name, limits, tables);
    }
    return answer;
  };
  const answers = route.all
    ? await askBalanced(shards, route.shards, attempt, tables, ask)
    : await shards.askAll(route.shards, ask);
  const gathered = route.fetches.map((fetch): Gathered => {
    const own = route.shards.flatMap((shard, i) => {
      const at = fetchesOf(shard).indexOf(fetch);
      return at < 0 ? [] : rowsOf(answers[i]?.results[at] as D1Result).rows;
    });
    const encoded = own.map(([, ...arrays]) => (arrays.length === 1 ? String(arrays[0]) : `[${arrays.join(',')}]`));
    return { chunks: joinWithin(encoded, CHUNK_LENGTH), exact: own.some(([unusual]) => unusual === 1) };
  });
  const finish = finishingStatement(route, gathered);
  if (finish.params.length > MAX_PARAMS) throw tooMuch('its tables', limits, tables);
  return finish;
}

const sizeOf = (row: Record<string, unknown>): number => {
  let size = 0;
  for (const value of Object.values(row)) if (typeof value === 'string') size += value.length;
  return size;
};

function tooMuch(table: string, limits: GatherLimits, tables: readonly string[]): GatherLimitError {
  return new GatherLimitError(
    `The statement has to be finished on one shard, and fetching ${table} for it passed the limit of ${limits.rows} rows, ${limits.bytes} bytes, or what D1 lets be bound.`,
    {
      tables,
      remedy: `Add a condition on ${table} alone, or on the shard keys so that it stays on one shard; or raise limits.gatherRows and limits.gatherBytes.`,
    },
  );
}

/** `with "users"("id", ...) as materialized (select ... from json_each(?))` before the untouched statement. */
export function finishingStatement(route: GatherRoute, gathered: readonly Gathered[]): BoundStatement {
  const params: unknown[] = [];
  const ctes = route.fetches.map(({ table }, i) => {
    const { chunks, exact } = gathered[i] as Gathered;
    params.push(...chunks);
    const names = table.columns.map((column) => quoteName(column.name));
    const values = table.columns.map((column, at) => decode(column, at, table.columns.length, exact));
    const source = unionOf(chunks.map(() => 'select value from json_each(?)'));
    return `${quoteName(table.table.name)}(${names.join(', ')}) as materialized (select ${values.join(', ')} from (${source}))`;
  });
  const lead = route.hasWith ? `${route.head.sql} ${ctes.join(', ')}, ` : `with ${ctes.join(', ')} `;
  const sql = lead + route.body.sql;
  return {
    sql: route.renames ? positionalSelect(sql, route.renames.count) : sql,
    params: [...route.head.params, ...params, ...route.body.params],
  };
}

function unionOf(selects: readonly string[]): string {
  if (selects.length <= COMPOUND_TERMS) return selects.join(' union all ');
  const size = COMPOUND_TERMS ** Math.ceil(Math.log(selects.length) / Math.log(COMPOUND_TERMS) - 1);
  const groups: string[] = [];
  for (let i = 0; i < selects.length; i += size)
    groups.push(`select value from (${unionOf(selects.slice(i, i + size))})`);
  return unionOf(groups);
}

const CASTS = { integer: 'numeric', numeric: 'numeric', real: 'real', text: 'text' } as const;

/**
 * The expression that turns the JSON value of a column back into what was stored, with the column's affinity and collation.
 *
 * CAST gives the affinity, and changes nothing in a value of the column's own type. Where other types may occur, a scalar
 * subquery gives it: SQLite takes the affinity of its last arm, while its only row comes from the first.
 */
function decode(column: Column, at: number, count: number, exact: boolean): string {
  const path =
    count <= COLUMNS_PER_ARRAY ? `[${at}]` : `[${Math.floor(at / COLUMNS_PER_ARRAY)}][${at % COLUMNS_PER_ARRAY}]`;
  const value = exact ? valueAt(`$${path}`) : `value->>'$${path}'`;
  const collate = column.collation === 'BINARY' ? '' : ` collate ${quoteName(column.collation)}`;
  if (column.affinity === 'blob') return value + collate;
  const type = CASTS[column.affinity];
  const typed = exact
    ? `(select ${value} union all select cast(null as ${type}) where 0)`
    : `cast(${value} as ${type})`;
  return typed + collate;
}
