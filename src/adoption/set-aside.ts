import { rowJson } from '../moves/rows';
import { bound, name, sql } from '../sql/tag';
import type { Losing, Resolving } from './resolve';

/** Rows that were taken out of their tables: nothing that anybody had is gone. */
const TABLE = `create table if not exists _shard_set_aside (keyspace text, key text, tbl text, columns text not null,
  "row" text not null, at integer not null default (unixepoch()))`;

/**
 * Keeps rows of these keys in a table of their own, and deletes them: one batch. Triggers of the user run for the rows that are
 * deleted, and so does ON DELETE.
 */
export async function setAside(
  { io, keyspace, aside }: Resolving,
  shard: string,
  losing: readonly Losing[],
): Promise<void> {
  if (losing.length === 0) return;
  const copies = losing.map(({ table, keys }) => {
    const list = JSON.stringify(keys);
    return bound(sql`insert into _shard_set_aside (keyspace, key, tbl, columns, "row")
      select ${keyspace}, cast(${name(table.key)} as text), ${table.name}, ${JSON.stringify(table.columns)}, ${rowJson(table)}
      from ${name(table.name)} where ${name(table.key)} in (select value from json_each(${list}))`);
  });
  const counts = losing.map(({ table, keys }) =>
    bound(sql`select count(*) as n from ${name(table.name)}
      where ${name(table.key)} in (select value from json_each(${JSON.stringify(keys)}))`),
  );
  const deletes = losing.map(({ table, keys }) =>
    bound(
      sql`delete from ${name(table.name)} where ${name(table.key)} in (select value from json_each(${JSON.stringify(keys)}))`,
    ),
  );
  // Deferred, as children and parents may be among them in any order.
  const defer = { sql: 'pragma defer_foreign_keys = on', params: [] };
  const results = await io.run(shard, [{ sql: TABLE, params: [] }, defer, ...counts, ...copies, ...deletes]);
  for (const [i, { table }] of losing.entries()) aside.add(shard, table.name, Number(results[2 + i]?.[0]?.n ?? 0));
}
