import { UnsupportedStatementError } from '../errors';
import type { Layout } from '../layout/layout';
import { sameName, type Table, writtenColumn } from '../layout/table';
import type { Insert, Parsed, Range } from '../sql/ast';
import { readValue, type ValueRef } from '../sql/conditions';
import { selectsIn, unstableIn } from '../sql/functions';
import { SqlWriter } from '../sql/template';
import { quoteName } from '../sql/tokens';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { anchorOf, isLocalTo } from './locality';
import { checkConflicts, keyUpdatesOf } from './on-conflict';
import type { InsertPlan, InsertRow } from './plan';
import { planSource, readHighestId, readHighestOf } from './plan-source';
import { type ReturnedColumn, returningOutput, writeReturning } from './positional';
import { reachesOf, wholeStatement } from './reach';
import { checkReplicatedWrite, missingId, missingKey } from './refusals';
import type { BoundCore, BoundSelect, Scope, TableRef } from './scope';

/** Plans an INSERT: its rows go to the shards that own their keys. */
export function planInsert(parsed: Parsed, statement: Insert, binder: Binder): InsertPlan {
  const table = binder.table(statement.target.name, statement.target.schema);
  const { bound, tail } = bindParts(statement, table, binder);
  const plan = {
    kind: 'insert',
    tables: [...new Set([table.name, ...binder.refs.map((ref) => ref.table.name)])],
    reaches: reachesOf(binder.refs),
    whole: wholeStatement(parsed),
    paramCount: parsed.paramCount,
    table,
    output: returningOutput(parsed, statement, table, binder.layout),
    returning: statement.returning !== undefined,
    returnsKey: false,
    source: undefined,
    keyUpdates: [],
    idColumn: undefined,
    highestId: undefined,
  } as const;
  const { placement } = table;
  const renamed = plan.output.positional && plan.output.returning;
  const canRead = readsBefore(statement, tail, parsed);
  const sourceWith = (columns: readonly string[], idColumn: string | undefined) =>
    canRead ? planSource(parsed, statement, { table, columns, idColumn, renamed }) : undefined;
  if (placement.kind === 'pinned') {
    const reaches = [...plan.reaches, { kind: 'pinned', shard: placement.shard } as const];
    const columns = plan.reaches.length > 0 ? insertedColumns(statement, table, binder.layout) : undefined;
    const source = columns && sourceWith(columns, undefined);
    return { ...plan, ...writeValues(parsed, statement, undefined, -1, renamed), mode: 'pinned', reaches, source };
  }
  const columns = insertedColumns(statement, table, binder.layout);
  const at = (wanted: string | undefined) =>
    columns.findIndex((name) => wanted !== undefined && sameName(name, wanted));
  const positions = { key: placement.kind === 'sharded' ? at(placement.key.name) : -1, id: at(table.rowidAlias) };
  // The rows of a SELECT are not counted before it runs, so that no numbers can be given to them.
  const idColumn = bound ? undefined : table.rowidAlias;
  const pieces = writeValues(parsed, statement, idColumn, positions.id, renamed);
  const rows = readRows(parsed, statement, { table, ...pieces }, columns.length, positions);
  const leavesId = bound !== undefined && table.rowidAlias !== undefined && positions.id < 0;
  if (placement.kind === 'replicated') {
    checkReplicatedDefaults(parsed, table, columns);
    const differs = plan.reaches.length > 0 || unstableIn(parsed.tokens, statement.range) !== undefined;
    const source = differs || leavesId ? sourceWith(columns, table.rowidAlias) : undefined;
    if (source && !tailRanges(statement).some((range) => unstableIn(parsed.tokens, range)))
      return { ...plan, ...pieces, mode: 'found', source };
    checkReplicatedWrite(parsed, statement.range, table, plan.reaches.length > 0);
    if (leavesId) throw missingId(table, table.rowidAlias as string, parsed.sql);
    return { ...plan, ...pieces, mode: 'replicated', rows, idColumn };
  }
  const { key } = placement;
  checkConflicts(parsed, statement, binder.layout, table, key);
  if (positions.key < 0 && table.rowidAlias !== key.name) throw missingKey(table, key, parsed.sql);
  const isComputed = positions.key >= 0 && rows.some((row) => !row.key);
  const reads = bound !== undefined || plan.reaches.length > 0 || isComputed;
  const source = reads ? sourceWith(columns, table.rowidAlias) : undefined;
  const id = table.rowidAlias === key.name ? undefined : table.rowidAlias;
  const isIdGiven = bound ? positions.id >= 0 : rows.some((row) => row.id === 'other');
  const highestId = id !== undefined && isIdGiven ? readHighestId(parsed, statement, columns, id) : undefined;
  const keyUpdates = keyUpdatesOf(parsed, statement, table, key);
  const keyed = { ...plan, ...pieces, rows, idColumn, source, keyUpdates, highestId };
  if (isComputed && source) return { ...keyed, mode: 'found' };
  if (leavesId) {
    if (source) return { ...keyed, mode: 'found' };
    throw missingId(table, table.rowidAlias as string, parsed.sql);
  }
  if (bound) return planSelect(parsed, bound, positions, keyed, binder, statement.ctes.length > 0);
  const drops = statement.conflictAction === 'ignore' || statement.onConflict.some((one) => !one.update || one.where);
  if (!plan.returning || !drops || rows.length < 2) return { ...keyed, mode: 'rows' };
  const returned = new SqlWriter(parsed.sql, parsed.tokens)
    .append(pieces.tail)
    .text(`, cast(${quoteName(key.name)} as text) as "__shard_key"`);
  return { ...keyed, mode: 'rows', returnsKey: true, tail: returned.done() };
}

/** What stands behind the rows. */
const tailRanges = (statement: Insert): Range[] =>
  [
    ...statement.onConflict.flatMap((one) => [one.where, ...(one.update ?? []).map((set) => set.value)]),
    statement.returningRange,
  ].filter((range) => range !== undefined);

/** Can the rows be read before they are inserted? What stands behind them is only worked out where they go. */
const readsBefore = (statement: Insert, tail: readonly TableRef[], { tokens }: Parsed): boolean =>
  !statement.defaultValues &&
  tail.every((ref) => ref.table.placement.kind === 'replicated') &&
  (statement.ctes.length === 0 || tailRanges(statement).every((range) => selectsIn(tokens, range).length === 0));

/** The pieces of INSERT ... VALUES, from which an INSERT of some of the rows can be put together. */
function writeValues(
  parsed: Parsed,
  statement: Insert,
  idColumn: string | undefined,
  idAt: number,
  renamed: readonly ReturnedColumn[] | undefined,
): Pick<InsertPlan, 'head' | 'rows' | 'tail'> {
  const { sql, tokens } = parsed;
  const { columnsRange, returningRange, range } = statement;
  const list = statement.rows ?? [];
  const addsId = idColumn !== undefined && idAt < 0;
  const defaults = statement.defaultValues && addsId ? columnsRange.to + 2 : undefined;
  const from = list[0]?.range.from ?? defaults ?? range.to;
  const to = list.at(-1)?.range.to ?? defaults ?? range.to;
  const tail = new SqlWriter(sql, tokens).text(' ');
  tail.copy({ from: to, to: (renamed ? returningRange?.from : undefined) ?? range.to });
  if (renamed) writeReturning(tail.text(' '), renamed);
  const head = new SqlWriter(sql, tokens).copy({ from: 0, to: addsId ? columnsRange.from : from });
  if (addsId) {
    const open = statement.columns ? columnsRange.from + 1 : columnsRange.to;
    head.text(` (${quoteName(idColumn)}${statement.columns ? ', ' : ') values '}`);
    head.copy({ from: open, to: defaults === undefined ? from : open });
  }
  const rows = list.map(({ range: row, values }, i) => {
    const id = values[idAt];
    const given = id && readValue(tokens, id);
    const slot = { kind: 'id', row: i, given: given?.kind === 'param' ? given.index : undefined } as const;
    const writer = new SqlWriter(sql, tokens);
    if (addsId)
      writer
        .text('(')
        .slot(slot)
        .text(', ')
        .copy({ from: row.from + 1, to: row.to });
    else if (idColumn !== undefined && id && isLeftOut(given)) {
      writer.copy({ from: row.from, to: id.from }).text(' ').slot(slot).copy({ from: id.to, to: row.to });
    } else writer.copy(row);
    return { template: writer.done(), key: undefined, id: undefined };
  });
  if (defaults !== undefined) {
    const writer = new SqlWriter(sql, tokens).text('(').slot({ kind: 'id', row: 0, given: undefined }).text(')');
    rows.push({ template: writer.done(), key: undefined, id: undefined });
  }
  return { head: head.text(' ').done(), rows, tail: tail.done() };
}

/** NULL, or a bound value that may be null: then SQLite would number the row. */
const isLeftOut = (given: ValueRef | undefined): boolean =>
  given?.kind === 'param' || (given?.kind === 'literal' && given.value === null);

/** Which column each value is for; without a list, all in the database's own order, which the schema need not have. */
function insertedColumns(statement: Insert, table: Table, layout: Layout): readonly string[] {
  if (statement.columns) return statement.columns.map((name) => writtenColumn(table, name));
  if (statement.defaultValues) return [];
  return layout.actual(table).columns.flatMap(({ name, generated }) => (generated ? [] : [name]));
}

/** The rows of VALUES with what is given for their shard key and their INTEGER PRIMARY KEY. */
function readRows(
  parsed: Parsed,
  { rows: list }: Insert,
  { table, rows }: Pick<InsertPlan, 'table' | 'rows'>,
  width: number,
  at: Positions,
): InsertRow[] {
  return rows.map(({ template }, i) => {
    const values = list?.[i]?.values ?? [];
    if (list && values.length !== width) {
      throw new UnsupportedStatementError(`A row of ${values.length} values for ${width} columns of ${table.name}.`, {
        tables: [table.name],
        sql: parsed.sql,
      });
    }
    const key = values[at.key];
    const id = values[at.id];
    return {
      template,
      key: key && readValue(parsed.tokens, key),
      id: id && (readValue(parsed.tokens, id) ?? 'other'),
    };
  });
}

/** Where in a row the shard key and the INTEGER PRIMARY KEY stand; -1 for nowhere. */
interface Positions {
  readonly key: number;
  readonly id: number;
}

/** Binds everything in the statement that can read a table; gives the SELECT that is inserted, and what is read behind it. */
function bindParts(
  statement: Insert,
  table: Table,
  binder: Binder,
): { bound: BoundSelect | undefined; tail: readonly TableRef[] } {
  const ctes = binder.withCtes(statement.ctes, new Map());
  const unbound = { ref: undefined, key: undefined, nullable: false };
  const columns = table.columns.map((column) => ({ ...unbound, ...column, column }));
  const source = { source: statement.target, columns, ref: undefined, derived: undefined };
  const scope: Scope = { level: binder.nextLevel(), sources: [source], aliases: new Set(), parent: undefined };
  for (const range of tailRanges(statement)) binder.subqueriesIn(range, scope, ctes);
  const tail = binder.refs.slice();
  for (const { range } of statement.rows ?? []) binder.subqueriesIn(range, scope, ctes);
  return { bound: statement.select && binder.select(statement.select, undefined, ctes), tail };
}

/**
 * INSERT ... SELECT: each shard inserts from its own rows, if the inserted key is the key of the row it comes from; or all of
 * it goes to the shard of one constant key.
 */
function planSelect(
  parsed: Parsed,
  bound: BoundSelect,
  at: Positions,
  plan: Omit<InsertPlan, 'mode'>,
  binder: Binder,
  withCtes: boolean,
): InsertPlan {
  const { table } = plan;
  const [core, ...others] = bound.cores;
  const expressions = core?.core.columns.some((column) => column.star !== undefined) ? [] : (core?.core.columns ?? []);
  const constantAt = (index: number) => {
    const expr = expressions[index]?.expr;
    return expr && readValue(parsed.tokens, expr);
  };
  const row: InsertRow = {
    template: plan.whole,
    key: constantAt(at.key),
    id: at.id < 0 ? undefined : (constantAt(at.id) ?? 'other'),
  };
  const isNumbered = row.id !== undefined && row.id !== 'other' && row.id.kind === 'literal' && row.id.value === null;
  if (core && others.length === 0 && core.core.values.length < 2 && row.key && !(isNumbered && plan.source))
    return { ...plan, mode: 'rows', rows: [row] };
  const anchor = core && others.length === 0 ? anchorOf(core, parsed.tokens) : undefined;
  const isConstant = row.id !== undefined && row.id !== 'other';
  const isColocated = core && anchor && insertsOwnKey(core, bound, anchor, at.key, plan) && isLocalTo(anchor, binder);
  if (isColocated && !(isConstant && plan.source)) {
    if (isConstant) throw missingId(table, table.rowidAlias as string, parsed.sql);
    const id = expressions[at.id]?.expr;
    const isPlain = bound.select.ctes.length === 0 && !withCtes;
    return {
      ...plan,
      mode: 'colocated',
      highestId: plan.highestId && id && isPlain ? readHighestOf(parsed, core.core, id) : plan.highestId,
      reaches: [{ kind: 'keys', keyspace: anchor.keyspace, keys: anchor.keySet() }],
    };
  }
  if (plan.source) return { ...plan, mode: 'found' };
  throw new UnsupportedStatementError(
    `INSERT INTO ${table.name} ... SELECT takes rows of other shards, and its ON CONFLICT or RETURNING reads others again.`,
    {
      tables: plan.tables,
      sql: parsed.sql,
      remedy: "Leave the subquery out there, or select the source table's shard key as the new key.",
    },
  );
}

/** Each selected row has as its new key the key of the shard it is on, and SELECT makes it from that shard's rows alone. */
function insertsOwnKey(
  core: BoundCore,
  bound: BoundSelect,
  anchor: KeyClass,
  keyAt: number,
  { table }: Pick<InsertPlan, 'table'>,
): boolean {
  const output = bound.columns?.[keyAt];
  const { placement } = table;
  if (core.windows || core.aggregate || core.core.distinct || bound.select.limitClause) return false;
  if (placement.kind !== 'sharded' || !output?.key || output.nullable) return false;
  const isAlike = anchor.keyspace === placement.keyspace && anchor.affinity === placement.key.affinity;
  return isAlike && output.key.outermost() === anchor;
}

/** What the database would fill in, each shard would fill in by itself. */
function checkReplicatedDefaults(parsed: Parsed, table: Table, given: readonly string[]): void {
  const isGiven = (column: string) => given.some((name) => sameName(name, column));
  const unstable = table.columns.find((column) => column.unstableDefault && !isGiven(column.name))?.name;
  if (unstable !== undefined) throw missingId(table, unstable, parsed.sql);
}
