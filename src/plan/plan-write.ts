import type { Layout } from '../layout/layout';
import { type Column, sameName, type Table, writtenColumn } from '../layout/table';
import type { Modification, Parsed, Range } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { unstableIn } from '../sql/functions';
import { EMPTY_CORE } from '../sql/parse-select';
import { type Binder, NO_CTES } from './bind';
import { isLocalTo } from './locality';
import type { EveryShardPlan, WritePlan } from './plan';
import { namesRowid } from './plan-gather';
import { planTwoPhase } from './plan-two-phase';
import { returningOutput } from './positional';
import { reachesOf, reachOf, wholeStatement } from './reach';
import { blindConflict, blindUniques, checkReplicatedWrite, isColumnNamed, keyChange } from './refusals';
import type { BoundCore, TableRef } from './scope';
import { readsOwnChanges } from './self-read';

/** Plans an UPDATE or DELETE. */
export function planWrite(parsed: Parsed, statement: Modification, binder: Binder): WritePlan | EveryShardPlan {
  const { core, setRefs, returningRefs } = bindWrite(statement, binder);
  const target = core.sources[0]?.ref as TableRef;
  const { table } = target;
  const base = {
    tables: [...new Set(binder.refs.map((ref) => ref.table.name))],
    reaches: reachesOf(binder.refs),
    whole: wholeStatement(parsed),
    output: returningOutput(parsed, statement, table, binder.layout),
    paramCount: parsed.paramCount,
  };
  const returnsLocal = returningRefs.every((ref) => ref.table.placement.kind === 'replicated');
  const chained = readsOwnChanges(statement, target, setRefs, binder);
  const found = (sets: boolean) =>
    returnsLocal && !(sets && chained) ? planTwoPhase(parsed, statement, target, base.output, sets) : undefined;
  if (table.placement.kind === 'replicated') {
    const isStable = base.reaches.length === 0 && !unstableIn(parsed.tokens, statement.range);
    if (isStable) return { ...base, kind: 'every', ddl: false, neutral: false };
    const { returningRange, kind } = statement;
    const twoPhase = returningRange && unstableIn(parsed.tokens, returningRange) ? undefined : found(kind === 'update');
    if (!twoPhase) checkReplicatedWrite(parsed, statement.range, table, base.reaches.length > 0);
    return { ...base, kind, table, target: undefined, local: false, twoPhase, remedy: '', keyUpdates: [] };
  }
  checkConflictAction(parsed, statement, binder.layout, table);
  const rowid = namesRowid(parsed.tokens, binder.refs);
  const isLocal = target.key !== undefined && isLocalTo(target.key, binder);
  const isOwn = (ref: TableRef) =>
    ref.table.placement.kind === 'replicated' ||
    (target.key !== undefined && ref.key?.outermost() === target.key.outermost());
  const setIsLocal = setRefs.every(isOwn) && statement.from.length === 0;
  return {
    ...base,
    kind: statement.kind,
    table,
    target: reachOf(target),
    local: isLocal && !statement.limitClause && !rowid,
    remedy: remedyFor(statement, table, { rowid, chained, returnsOwn: returningRefs.every(isOwn) }),
    twoPhase: rowid
      ? undefined
      : setIsLocal && returningRefs.every(isOwn)
        ? planTwoPhase(parsed, statement, target, base.output, false)
        : found(!setIsLocal),
    keyUpdates: table.placement.kind === 'sharded' ? keyUpdatesOf(parsed, statement, table, table.placement.key) : [],
  };
}

/** Where the rows cannot be found first. */
function remedyFor(
  { set }: Modification,
  table: Table,
  { rowid, chained, returnsOwn }: { rowid: boolean; chained: boolean; returnsOwn: boolean },
): string {
  if (rowid) return "Name the table's primary key instead of rowid.";
  if (table.primaryKey.length === 0)
    return 'Give the table a primary key: rows without one cannot be found first and written then.';
  if (!returnsOwn) return 'Leave the subquery out of RETURNING: read what it gives before or after the write.';
  if (chained)
    return 'Read the values in FROM, where they are all read before the first is written: update t set a = s.a from (select ...) as s where s.id = t.id.';
  if (set.some(({ columns }) => columns.length > 1))
    return 'Give each column a subquery of its own: set a = (select ...), b = (select ...).';
  return 'Read the values first, then write them; or confine all tables to one shard key.';
}

interface BoundWrite {
  readonly core: BoundCore;
  readonly setRefs: readonly TableRef[];
  readonly returningRefs: readonly TableRef[];
}

/** An UPDATE reads like a SELECT from its target, what stands in FROM, and its WHERE. */
function bindWrite(statement: Modification, binder: Binder): BoundWrite {
  const { target, opaqueFrom, groupConditions, where, range } = statement;
  const others = statement.from.map((source) =>
    source.join === 'first' ? { ...source, join: 'inner' as const } : source,
  );
  const ctes = binder.withCtes(statement.ctes, NO_CTES);
  const parts = { from: [target, ...others], opaqueFrom, groupConditions, where, range };
  const core = binder.core({ ...EMPTY_CORE, ...parts }, undefined, ctes, target);
  const refsIn = (ranges: readonly (Range | undefined)[]) => {
    const before = binder.refs.length;
    for (const range of ranges) if (range) binder.subqueriesIn(range, core.scope, ctes);
    return binder.refs.slice(before);
  };
  refsIn([statement.tail]);
  const setRefs = refsIn(statement.set.map((one) => one.value));
  return { core, setRefs, returningRefs: refsIn([statement.returningRange]) };
}

/** UPDATE OR IGNORE and OR REPLACE of a unique value: the row that has it already may be on another shard. */
function checkConflictAction(parsed: Parsed, statement: Modification, layout: Layout, table: Table): void {
  const { conflictAction, set } = statement;
  if (table.placement.kind !== 'sharded' || (conflictAction !== 'ignore' && conflictAction !== 'replace')) return;
  const isSet = (name: string) =>
    name === '' || set.some(({ columns }) => columns.some((one) => sameName(writtenColumn(table, one), name)));
  const blind = blindUniques(layout.actual(table), table.placement.key).find((columns) => columns.some(isSet));
  if (blind)
    throw blindConflict(
      `UPDATE OR ${conflictAction.toUpperCase()}`,
      table,
      blind,
      parsed.sql,
      'Update by shard key, without OR.',
    );
}

/** Values given to the shard key; `key = key` is no change. */
function keyUpdatesOf(parsed: Parsed, statement: Modification, table: Table, key: Column): (ValueRef | 'unknown')[] {
  const values: (ValueRef | 'unknown')[] = [];
  for (const { columns, value } of statement.set) {
    if (!columns.some((name) => sameName(writtenColumn(table, name), key.name))) continue;
    if (columns.length === 1 && isColumnNamed(parsed.tokens, value, key.name, [statement.target.alias])) continue;
    const read = columns.length === 1 ? readValue(parsed.tokens, value) : undefined;
    if (!read && columns.length > 1) throw keyChange(table.name, key, parsed.sql);
    values.push(read ?? 'unknown');
  }
  return values;
}
