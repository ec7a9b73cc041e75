import type { Layout } from '../layout/layout';
import { type Column, sameName, type Table } from '../layout/table';
import type { Modification, Parsed } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { jsonOf } from '../sql/json-values';
import { EMPTY_CORE } from '../sql/parse-select';
import { SqlWriter } from '../sql/template';
import { isOp, isWord, quoteName } from '../sql/tokens';
import { type Binder, NO_CTES } from './bind';
import { isLocalTo } from './locality';
import type { EveryShardPlan, TwoPhaseStep, WritePlan } from './plan';
import { namesRowid } from './plan-gather';
import { returningOutput, writeReturning } from './positional';
import { reachesOf, reachOf, wholeStatement } from './reach';
import { blindConflict, blindUniques, checkReplicatedWrite, isColumnNamed, keyChange } from './refusals';
import type { BoundCore, TableRef } from './scope';

/** Plans an UPDATE or DELETE. */
export function planWrite(parsed: Parsed, statement: Modification, binder: Binder): WritePlan | EveryShardPlan {
  const { core, setRefs } = bindWrite(statement, binder);
  const target = core.sources[0]?.ref as TableRef;
  const { table } = target;
  const base = {
    tables: [...new Set(binder.refs.map((ref) => ref.table.name))],
    reaches: reachesOf(binder.refs),
    whole: wholeStatement(parsed),
    output: returningOutput(parsed, statement, table, binder.layout),
    paramCount: parsed.paramCount,
  };
  if (table.placement.kind === 'replicated') {
    checkReplicatedWrite(parsed, statement.range, table, base.reaches.length > 0);
    return { ...base, kind: 'every', ddl: false, neutral: false };
  }
  checkConflictAction(parsed, statement, binder.layout, table);
  const rowid = namesRowid(parsed.tokens, binder.refs);
  const isLocal = target.key !== undefined && isLocalTo(target.key, binder);
  const setIsLocal = setRefs.every(
    (ref) =>
      ref.table.placement.kind === 'replicated' || (target.key && ref.key?.outermost() === target.key.outermost()),
  );
  return {
    ...base,
    kind: statement.kind,
    table,
    target: reachOf(target),
    local: isLocal && !statement.limitClause && !rowid,
    twoPhase:
      setIsLocal && !rowid && statement.from.length === 0
        ? planTwoPhase(parsed, statement, target, base.output)
        : undefined,
    keyUpdates: table.placement.kind === 'sharded' ? keyUpdatesOf(parsed, statement, table, table.placement.key) : [],
  };
}

/** An UPDATE reads like a SELECT from its target, what stands in FROM, and its WHERE. */
function bindWrite(statement: Modification, binder: Binder): { core: BoundCore; setRefs: TableRef[] } {
  const { target, opaqueFrom, groupConditions, where, range } = statement;
  const others = statement.from.map((source) =>
    source.join === 'first' ? { ...source, join: 'inner' as const } : source,
  );
  const ctes = binder.withCtes(statement.ctes, NO_CTES);
  const parts = { from: [target, ...others], opaqueFrom, groupConditions, where, range };
  const core = binder.core({ ...EMPTY_CORE, ...parts }, undefined, ctes, target);
  const before = binder.refs.length;
  for (const expression of [...statement.set.map((one) => one.value), statement.returningRange, statement.tail]) {
    if (expression) binder.subqueriesIn(expression, core.scope, ctes);
  }
  return { core, setRefs: binder.refs.slice(before) };
}

/** The primary keys of the rows first, wherever they are found; then the write by primary key on each shard. */
function planTwoPhase(
  parsed: Parsed,
  statement: Modification,
  target: TableRef,
  output: ReturnType<typeof returningOutput>,
): TwoPhaseStep | undefined {
  const { table } = target;
  if (table.placement.kind !== 'sharded' || table.primaryKey.length === 0) return undefined;
  const { tokens, sql } = parsed;
  const column = (name: string) => `${quoteName(target.alias)}.${quoteName(name)}`;
  const primaryKey = table.primaryKey.map(column);
  const verbAt = tokens.findIndex((token, i) => isWord(token, statement.kind) && isOutside(parsed, i));
  const find = new SqlWriter(sql, tokens).copy({ from: statement.range.from, to: verbAt });
  find.text(` select cast(${column(table.placement.key.name)} as text) as "__shard_key"`);
  find.text(`, ${primaryKey.map((name) => `${name} is null`).join(' or ')} as "__shard_incomplete"`);
  find.text(`, json_array(${primaryKey.map(jsonOf).join(', ')}) as "__shard_row"`);
  find.text(` from ${quoteName(table.name)} as ${quoteName(target.alias)} `);
  if (statement.whereClause) find.copy(statement.whereClause);
  if (statement.tail) find.text(' ').copy(statement.tail);
  const { whereClause, returningRange, tail, range } = statement;
  const bodyEnd = (whereClause ?? returningRange ?? tail)?.from ?? range.to;
  const end = new SqlWriter(sql, tokens).text(' ');
  if (output.positional) writeReturning(end, output.returning);
  else if (returningRange) end.copy(returningRange);
  return {
    find: find.done(),
    primaryKey: table.primaryKey,
    head: new SqlWriter(sql, tokens).copy({ from: range.from, to: bodyEnd }).text(' ').done(),
    tail: end.done(),
  };
}

const isOutside = (parsed: Parsed, at: number): boolean =>
  !parsed.tokens.some((token, i) => isOp(token, '(') && i < at && token.match > at);

/** UPDATE OR IGNORE and OR REPLACE of a unique value: the row that has it already may be on another shard. */
function checkConflictAction(parsed: Parsed, statement: Modification, layout: Layout, table: Table): void {
  const { conflictAction, set } = statement;
  if (table.placement.kind !== 'sharded' || (conflictAction !== 'ignore' && conflictAction !== 'replace')) return;
  const isSet = (name: string) => name === '' || set.some(({ columns }) => columns.some((one) => sameName(one, name)));
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
    if (!columns.some((name) => sameName(name, key.name))) continue;
    if (columns.length === 1 && isColumnNamed(parsed.tokens, value, key.name, [statement.target.alias])) continue;
    const read = columns.length === 1 ? readValue(parsed.tokens, value) : undefined;
    if (!read && columns.length > 1) throw keyChange(table.name, key, parsed.sql);
    values.push(read ?? 'unknown');
  }
  return values;
}
