import { withKeyIn } from '../moves/of-keys';
import { rowJson } from '../moves/rows';
import { CONFLICT } from '../placement/conflict';
import { slotOf } from '../placement/slots';
import { bound, name, type Sql, sql } from '../sql/tag';
import type { Losing } from './decide';
import type { Resolving } from './resolve';

/** Rows that were taken out of their tables: nothing that anybody had is gone. */
const TABLE = `create table if not exists _shard_set_aside (keyspace text, key text, tbl text, columns text not null,
  "row" text not null, at integer not null default (unixepoch()))`;

/** Of these keys, those that the shard may give up: one that was decided meanwhile, and has moved here since, lives here. */
export function unowned(keyspace: string, keys: readonly string[]): Sql {
  const list = JSON.stringify(keys.map((key) => [key, slotOf(key)]));
  return sql`(select j.value->>0 from json_each(${list}) j
    left join _shard_keys k on k.keyspace = ${keyspace} and k.key = j.value->>0
    where case when k.at = ${CONFLICT} then 1 when k.at = (select name from _shard_identity) then 0
      else not exists (select 1 from _shard_slots s where s.keyspace = ${keyspace} and j.value->>1 between s.lo and s.hi) end)`;
}

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
    return bound(sql`insert into _shard_set_aside (keyspace, key, tbl, columns, "row")
      select ${keyspace}, cast(${name(table.key)} as text), ${table.name}, ${JSON.stringify(table.columns)}, ${rowJson(table)}
      from ${name(table.name)} where ${withKeyIn(table, unowned(keyspace, keys))}`);
  });
  const counts = losing.map(({ table, keys }) =>
    bound(sql`select count(*) as n from ${name(table.name)}
      where ${withKeyIn(table, unowned(keyspace, keys))}`),
  );
  const deletes = losing.map(({ table, keys }) =>
    bound(sql`delete from ${name(table.name)} where ${withKeyIn(table, unowned(keyspace, keys))}`),
  );
  // Deferred, as children and parents may be among them in any order.
  const defer = { sql: 'pragma defer_foreign_keys = on', params: [] };
  const results = await io.run(shard, [{ sql: TABLE, params: [] }, defer, ...counts, ...copies, ...deletes]);
  for (const [i, { table }] of losing.entries()) aside.add(shard, table.name, Number(results[2 + i]?.[0]?.n ?? 0));
}
