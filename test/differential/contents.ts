import { getTableColumns, getTableName } from 'drizzle-orm';
import { run } from '../support/seed';
import { TABLES, type TableSpec } from './catalog';
import { canonical } from './compare';
import { rules } from './schema';

/** The rows of every table as SQL literals, in no particular order but always the same. */
export type Contents = Readonly<Record<string, readonly string[]>>;

/** What one database holds. */
export async function contentsOf(database: D1Database): Promise<Contents> {
  const results = await database.batch<{ r: string }>(TABLES.map((spec) => database.prepare(literals(spec))));
  return Object.fromEntries(TABLES.map(({ name }, i) => [name, (results[i]?.results ?? []).map(({ r }) => r).sort()]));
}

/**
 * What all shards hold together.
 *
 * @throws Error when a replicated table differs between shards, or a table of one shard has rows on another.
 */
export function merge(each: Readonly<Record<string, Contents>>): Contents {
  return Object.fromEntries(TABLES.map(({ name }) => [name, mergeTable(each, name)]));
}

function mergeTable(each: Readonly<Record<string, Contents>>, name: string): readonly string[] {
  const lists = Object.entries(each).map(([shard, contents]) => ({ shard, rows: contents[name] ?? [] }));
  const rule = name in rules ? rules[name as keyof typeof rules] : {};
  const first = lists[0]?.rows ?? [];
  if ('replicated' in rule) {
    const other = lists.find(({ rows }) => canonical(rows) !== canonical(first));
    if (other)
      throw new Error(`The replicated table ${name} is not the same on ${lists[0]?.shard} and ${other.shard}.`);
    return first;
  }
  const stray = 'shard' in rule ? lists.find(({ shard, rows }) => shard !== rule.shard && rows.length > 0) : undefined;
  if (stray) throw new Error(`${name} lives on one shard, and ${stray.shard} has rows of it.`);
  return lists.flatMap(({ rows }) => rows).sort();
}

export async function shardContents(shards: Readonly<Record<string, D1Database>>): Promise<Record<string, Contents>> {
  const each = await Promise.all(
    Object.entries(shards).map(async ([name, database]) => [name, await contentsOf(database)] as const),
  );
  return Object.fromEntries(each);
}

/** Puts back what a database held, as one transaction. */
export async function restore(database: D1Database, contents: Contents): Promise<void> {
  const deletes = [...TABLES].reverse().map(({ table }) => `delete from ${getTableName(table)}`);
  const inserts = TABLES.flatMap(({ name, table }) => {
    const rows = contents[name] ?? [];
    return rows.length === 0
      ? []
      : [`insert into ${getTableName(table)} values ${rows.map((row) => `(${row})`).join(', ')}`];
  });
  await run(database, [...deletes, ...inserts]);
}

/** One text for each row. `quote()` alone would cut a text at its first NUL. */
function literals({ table }: TableSpec): string {
  const columns = Object.values(getTableColumns(table)).map(({ name }) => name);
  const each = columns.map(
    (name) =>
      `case typeof(${name}) when 'text' then 'cast(x''' || hex(${name}) || ''' as text)' else quote(${name}) end`,
  );
  return `select ${each.join(" || ', ' || ")} as r from ${getTableName(table)}`;
}
