import { ShardKeyError } from '../errors';
import { Doubt } from '../placement/signals';
import { canonicalValue } from '../plan/key-set';
import type { InsertPlan, InsertRow, SourceStep } from '../plan/plan';
import { missingId, nullKey, wrongKey } from '../plan/refusals';
import type { BoundStatement } from '../sql/bound';
import { bindTemplate, boundValue, type Ids, MAX_PARAMS, type Template } from '../sql/template';
import {
  checkUpsertedKey,
  groupByOwner,
  keyColumn,
  keyspaceOf,
  passOverAll,
  placesByOther,
  readsElsewhere,
} from './insert-keys';
import { bindStatement, type InsertPart, type Route, type RouteContext, spreadOf, wholeOf } from './route';
import { routeSource } from './route-source';

/** D1 takes 100 KB of SQL text a statement. */
const MAX_SQL = 90_000;

type Params = readonly unknown[];

export async function routeInsert(plan: InsertPlan, params: Params, context: RouteContext): Promise<Route> {
  const { placement, format } = context;
  const { source } = plan;
  if (plan.mode === 'found') return routeSource(plan, source as SourceStep, params, context);
  // Numbers can be given to rows once they were counted.
  const leavesId = plan.idColumn === undefined && plan.rows.some(({ id }) => isNull(id, params));
  if (leavesId && source) return routeSource(plan, source, params, context);
  const read = await spreadOf(plan.reaches, params, placement);
  if (plan.highestId) {
    const highest = await context.read(bindStatement(plan.highestId, params));
    await passOverAll(plan, [highest[0]?.[0]], context);
  }
  const ids = await idsFor(plan, params, context);
  const isTooLong = (plan.whole.slots.length > MAX_PARAMS && plan.rows.length > 1) || ids.size > 0;
  const all = plan.rows.map((_, i) => i);
  const whole = wholeOf(plan, params, format);
  const { statement, names, renamed } = whole;
  const statementsFor = (rows: readonly number[]) => splitRows(plan, rows, params, ids);
  const { returning, returnsKey } = plan;
  const shared = { kind: 'insert', names, renamed, returning, returnsKey, statementsFor, all: false } as const;
  if (plan.mode === 'replicated') {
    const statements = isTooLong ? statementsFor(all) : [statement];
    const shards = placement.wholeCluster();
    return { kind: 'broadcast', keys: [], all: false, shards, names, renamed, statements, same: true, ddl: false };
  }
  if (plan.mode === 'pinned') {
    const [shard, ...others] = read.shards as [string, ...string[]];
    if (others.length > 0 && source) return routeSource(plan, source, params, context);
    if (others.length > 0) throw new Doubt(readsElsewhere(plan, context.sql), read.keys);
    if (isTooLong) {
      const part = { shard, keys: read.keys, rows: all, statements: statementsFor(all) };
      return { ...shared, shards: [shard], keys: read.keys, parts: [part], rowKeys: [] };
    }
    return { kind: 'single', ...read, shard, statement, names, renamed, write: true };
  }
  if (plan.mode === 'colocated') {
    const [shard, ...others] = read.shards;
    if (shard !== undefined && others.length === 0)
      return { kind: 'single', ...read, shard, statement, names, renamed, write: true };
    return { kind: 'broadcast', ...read, names, renamed, statements: [statement], same: false, ddl: false };
  }
  const rowKeys = plan.rows.map((row, i) => insertedKey(plan, row, ids.get(i), params, context.sql));
  const placed = await placement.placeNew(keyspaceOf(plan), new Set(rowKeys));
  const groups = groupByOwner(placed, rowKeys);
  const [shard, ...others] = groups.keys();
  if (shard === undefined || others.length > 0 ? read.shards.length > 0 : read.shards.some((name) => name !== shard)) {
    if (source) return routeSource(plan, source, params, context);
    throw new Doubt(readsElsewhere(plan, context.sql), [...placed, ...read.keys]);
  }
  const keys = [...placed, ...read.keys];
  if (shard !== undefined && others.length === 0 && !isTooLong && plan.whole.slots.length <= MAX_PARAMS) {
    return { kind: 'single', shards: [shard], keys, all: read.all, shard, statement, names, renamed, write: true };
  }
  const parts = [...groups].map(
    ([name, rows]): InsertPart => ({
      shard: name,
      keys: keys.filter((key) => key.shard === name),
      rows,
      statements: statementsFor(rows),
    }),
  );
  return { ...shared, shards: [...groups.keys()], keys, parts, rowKeys };
}

/** Numbers of the table's sequence for the rows that leave their INTEGER PRIMARY KEY to the database. */
async function idsFor(plan: InsertPlan, params: Params, context: RouteContext): Promise<Ids> {
  const { rowidAlias } = plan.table;
  if (rowidAlias === undefined || plan.mode === 'pinned') return new Map();
  const needed = plan.rows.flatMap(({ id }, i) => {
    const given = id === 'other' || (id !== undefined && boundValue(id, params) !== null);
    return given ? [] : [i];
  });
  if (placesByOther(plan)) {
    const given = plan.rows.flatMap(({ id }) => (id === undefined || id === 'other' ? [] : [boundValue(id, params)]));
    await passOverAll(plan, given, context);
  }
  if (needed.length === 0) return new Map();
  // Each row of a SELECT would need one of its own.
  if (plan.idColumn === undefined) throw missingId(plan.table, rowidAlias, context.sql);
  const ids = await context.nextIds(plan.table.name, needed.length);
  return new Map(needed.map((row, i) => [row, ids[i] as string]));
}

const isNull = (id: InsertRow['id'], params: Params): boolean =>
  id !== undefined && id !== 'other' && boundValue(id, params) === null;

/** The key of a row to insert, in its one spelling. */
function insertedKey(plan: InsertPlan, row: InsertRow, id: string | undefined, params: Params, sql: string): string {
  const { table } = plan;
  const column = keyColumn(plan);
  if (id !== undefined && plan.idColumn === column.name) return id;
  const details = { tables: [table.name], sql };
  if (!row.key || row.key.kind === 'json') {
    throw new ShardKeyError(
      `The shard key ${table.name}.${column.name} is given as an expression, so its shard cannot be told.`,
      {
        ...details,
        remedy: 'Bind the value itself.',
      },
    );
  }
  const key = canonicalValue(row.key, column.affinity, params);
  if (key === null) throw nullKey(table, column, sql);
  if (key === undefined) {
    const value = boundValue(row.key, params);
    throw wrongKey(table, column, `${typeof value} ${String(value)}`, sql);
  }
  checkUpsertedKey(plan, key, params, sql);
  return key;
}

/** One INSERT for as many rows as D1's limits allow; all of a shard's run in one transaction. */
function splitRows(plan: InsertPlan, rows: readonly number[], params: Params, ids: Ids): BoundStatement[] {
  const fixed = plan.head.slots.length + plan.tail.slots.length;
  const statements: BoundStatement[] = [];
  let chunk: Template[] = [];
  let slots = fixed;
  let length = plan.head.sql.length + plan.tail.sql.length;
  const close = () => {
    if (chunk.length === 0) return;
    const sql = plan.head.sql + chunk.map((row) => row.sql).join(', ') + plan.tail.sql;
    const bound = [plan.head, ...chunk, plan.tail].flatMap((template) => bindTemplate(template, params, ids));
    statements.push({ sql, params: bound, givesRows: plan.returning });
    chunk = [];
    slots = fixed;
    length = plan.head.sql.length + plan.tail.sql.length;
  };
  for (const i of rows) {
    const { template } = plan.rows[i] as InsertRow;
    if (slots + template.slots.length > MAX_PARAMS || length + template.sql.length > MAX_SQL) close();
    chunk.push(template);
    slots += template.slots.length;
    length += template.sql.length + 2;
  }
  close();
  return statements;
}
