import { joinSql, name, type Sql, sql } from '../sql/tag';
import type { CarriedTable } from './carry';

/** How many levels of rows that refer to each other ON DELETE RESTRICT can leave. */
export const LEVELS = 100;

/**
 * Deletes rows of a table. NO ACTION is checked at the end of a statement; RESTRICT at each row, and SQLite deletes them in the
 * order of their row ids: rows that others of their own table refer to have to go in a later statement than those.
 */
export function deletion(table: CarriedTable, rows: Sql): Sql[] {
  const all = sql`delete from ${rows}`;
  if (table.restricts.length === 0) return [all];
  const own = name(table.name);
  const isLeaf = joinSql(
    table.restricts.map(({ columns, foreignColumns }) => {
      const refers = columns.map(
        (column, i) => sql`_shard_below.${name(column)} = ${own}.${name(foreignColumns[i] ?? '')}`,
      );
      return sql`not exists (select 1 from ${own} as _shard_below where ${joinSql(refers, ' and ')})`;
    }),
    ' and ',
  );
  const level = sql`${all} and ${isLeaf}`;
  // Once a level was empty, the others need not look.
  const next = sql`${level} and (select changes()) > 0`;
  return [level, ...Array.from({ length: LEVELS - 2 }, () => next), all];
}
