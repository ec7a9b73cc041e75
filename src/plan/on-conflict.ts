import type { Layout } from '../layout/layout';
import { type Column, sameName, type Table, writtenColumn } from '../layout/table';
import type { Insert, Parsed } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { blindConflict, blindUniques, isColumnNamed, keyChange } from './refusals';

/** A unique value on another shard is not seen, so "on conflict" would quietly insert a second row. */
export function checkConflicts(parsed: Parsed, statement: Insert, layout: Layout, table: Table, key: Column): void {
  const hasKey = (columns: readonly string[]) => columns.some((name) => sameName(name, key.name));
  const remedy = `Name a conflict target that includes the shard key ${key.name}.`;
  const refuse = (columns: readonly string[], what: string) => blindConflict(what, table, columns, parsed.sql, remedy);
  const acts = statement.conflictAction === 'ignore' || statement.conflictAction === 'replace';
  const untargeted = acts || statement.onConflict.some((one) => one.target === undefined);
  if (untargeted) {
    const blind = blindUniques(layout.actual(table), key)[0];
    const what = acts ? `INSERT OR ${statement.conflictAction?.toUpperCase()}` : 'ON CONFLICT without a target';
    if (blind) throw refuse(blind, what);
  }
  for (const { target } of statement.onConflict) if (target && !hasKey(target)) throw refuse(target, 'ON CONFLICT');
}

/** `do update set key = ...`: allowed when it is the value that is inserted. */
export function keyUpdatesOf(parsed: Parsed, statement: Insert, table: Table, key: Column): ValueRef[] {
  const values: ValueRef[] = [];
  for (const assignment of statement.onConflict.flatMap((one) => one.update ?? [])) {
    if (!assignment.columns.some((name) => sameName(writtenColumn(table, name), key.name))) continue;
    const isSame = isColumnNamed(parsed.tokens, assignment.value, key.name, ['excluded', statement.target.alias]);
    if (assignment.columns.length === 1 && isSame) continue;
    const value = assignment.columns.length === 1 ? readValue(parsed.tokens, assignment.value) : undefined;
    if (!value) throw keyChange(statement.target.name, key, parsed.sql);
    values.push(value);
  }
  return values;
}
