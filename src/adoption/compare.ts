import type { MoveIo } from '../moves/io';
import type { KeyColumn } from '../placement/claims';
import { hasRows } from '../placement/claims';
import { bound, name, sql } from '../sql/tag';
import { quoteName } from '../sql/tokens';

/** Values that databases have in common. */
export interface Shared {
  readonly count: number;
  /** The first ones, each with the shards that have it. */
  readonly examples: readonly { readonly value: string; readonly shards: readonly string[] }[];
}

/** A database and the columns in which a value may be. */
export interface Holder {
  readonly shard: string;
  readonly columns: readonly KeyColumn[];
}

const PER_PAGE = 4000;
const MAX_EXAMPLES = 100;

/**
 * Values that more than one database has: pages of one are looked up in those after it. Memory stays the same however many there
 * are, but for tables without an index, of which each page is sorted.
 */
export async function sharedValues(io: Pick<MoveIo, 'run'>, holders: readonly Holder[]): Promise<Shared> {
  let count = 0;
  const examples: { value: string; shards: readonly string[] }[] = [];
  for (const [i, { shard, columns }] of holders.entries()) {
    const others = holders.slice(i + 1);
    if (others.length === 0) break;
    for (const [j, column] of columns.entries()) {
      for (let after: string | null = null; ; ) {
        const values: string[] = await page(io, shard, column, after);
        const last = values.at(-1);
        if (last === undefined) break;
        const found = await whoHas(io, others, values);
        // What an earlier column, or database, has was counted with it.
        const before = [...(j > 0 ? [{ shard, columns: columns.slice(0, j) }] : []), ...holders.slice(0, i)];
        const counted = await whoHas(io, before, [...found.keys()]);
        for (const [value, shards] of found) {
          if (counted.has(value)) continue;
          count++;
          if (examples.length < MAX_EXAMPLES) examples.push({ value, shards: [shard, ...shards] });
        }
        after = last;
      }
    }
  }
  return { count, examples };
}

/** The next values of a column. */
async function page(
  io: Pick<MoveIo, 'run'>,
  shard: string,
  { table, column }: KeyColumn,
  after: string | null,
): Promise<string[]> {
  const own = name(column);
  const beyond = after === null ? sql`${own} is not null` : sql`${own} > ${after}`;
  const [rows = []] = await io.run(shard, [
    bound(sql`select cast(v as text) as v from (
      select distinct ${own} as v from ${name(table)} where ${beyond} order by ${own} limit ${PER_PAGE})`),
  ]);
  return rows.map(({ v }) => String(v));
}

async function whoHas(
  io: Pick<MoveIo, 'run'>,
  holders: readonly Holder[],
  values: readonly string[],
): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  if (values.length === 0) return found;
  for (const { shard, columns } of holders) {
    const [rows = []] = await io.run(shard, [lookUp(columns, values)]);
    for (const { n } of rows) {
      const value = values[Number(n)] as string;
      found.set(value, [...(found.get(value) ?? []), shard]);
    }
  }
  return found;
}

const lookUp = (columns: readonly KeyColumn[], values: readonly string[]) => ({
  sql: `select j.key as n from json_each(?1) j where 1 in (${columns.map((column) => hasRows(column, 'j.value', values.length)).join(', ') || 'null'})`,
  params: [JSON.stringify(values)],
});

/** The lowest and the highest value of a column, as numbers; undefined without rows. */
export async function rangeOf(
  io: Pick<MoveIo, 'run'>,
  shard: string,
  { table, column }: KeyColumn,
): Promise<{ readonly lo: bigint; readonly hi: bigint } | undefined> {
  const own = quoteName(column);
  const [[row] = []] = await io.run(shard, [
    {
      sql: `select cast(min(${own}) as text) as lo, cast(max(${own}) as text) as hi from ${quoteName(table)}`,
      params: [],
    },
  ]);
  return row?.lo === null || row?.lo === undefined
    ? undefined
    : { lo: BigInt(String(row.lo)), hi: BigInt(String(row.hi)) };
}
