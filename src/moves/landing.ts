import { name, raw, type Sql, sql } from '../sql/tag';
import type { Cargo, CarriedTable } from './carry';
import { raising } from './move-sql';
import { columnList, rowJson, rowValues } from './rows';
import type { TriggerInfo } from './schema';

/** Triggers that must not run are dropped and made again in one batch, which rolls back as a whole (seen on workerd). */
export const dropTriggers = (triggers: readonly TriggerInfo[]): Sql[] =>
  triggers.map((trigger) => sql`drop trigger ${name(trigger.name)}`);
export const createTriggers = (triggers: readonly TriggerInfo[]): Sql[] => triggers.map((trigger) => raw(trigger.sql));

/**
 * Staged rows into their tables, and the proof that they have arrived as they were.
 *
 * @param staged Where the rows of a table are staged: `_shard_stage s, json_each(s.rows) j where ...`.
 * @param landed The rows in the table that must be those.
 */
export function landRows(
  cargo: Cargo,
  staged: (table: CarriedTable) => Sql,
  landed: (table: CarriedTable) => Sql,
  counts: readonly number[],
): Sql[] {
  const { tables, circular, silentAtLanding } = cargo;
  return [
    ...(circular ? [sql`pragma defer_foreign_keys = on`] : []),
    ...dropTriggers(silentAtLanding),
    ...tables.map(
      // OR ABORT overrules the table's own ON CONFLICT REPLACE, which would delete a row of another key.
      (table) => sql`insert or abort into ${name(table.name)} (${columnList(table.columns)})
        select ${rowValues(table)} from (select j.value from ${staged(table)} order by s.part, j.key)`,
    ),
    ...createTriggers(silentAtLanding),
    ...checkLanded(cargo, staged, landed, counts),
  ];
}

/** As many rows as were copied, and each reads as it was read on the source. */
export function checkLanded(
  { tables, circular }: Cargo,
  staged: (table: CarriedTable) => Sql,
  landed: (table: CarriedTable) => Sql,
  counts: readonly number[],
): Sql[] {
  return [
    ...tables.map(
      (table, i) => sql`select case when (select count(*) from ${landed(table)}) <> ${counts[i] ?? 0}
        then ${raising(`'SHARD_COUNT ' || ${hexName(table)}`)}
        when exists (select ${rowJson(table)} from ${landed(table)} except select j.value from ${staged(table)})
        then ${raising(`'SHARD_CHANGED ' || ${hexName(table)}`)} end`,
    ),
    // A deferred violation would be an error without words at the commit.
    ...(circular
      ? tables.map(
          (table) => sql`select case when exists (select 1 from pragma_foreign_key_check(${table.name}))
            then ${raising("'SHARD_FOREIGN_KEY'")} end`,
        )
      : []),
  ];
}

/** In hexadecimal, as SQLite and D1 put quotes of their own around what is raised. */
export const hexName = (table: CarriedTable): string => `hex('${table.name.replaceAll("'", "''")}')`;
