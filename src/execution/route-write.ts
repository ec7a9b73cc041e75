import { CrossShardBatchError, ShardKeyError, UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import type { PlacedKey } from '../placement/guard';
import { canonicalKey } from '../placement/key';
import { Doubt } from '../placement/signals';
import { canonicalValue, keysOf } from '../plan/key-set';
import type { EveryShardPlan, InsertPlan, InsertRow, TwoPhaseStep, WritePlan } from '../plan/plan';
import { keyChange, missingId } from '../plan/refusals';
import type { BoundStatement } from '../sql/bound';
import { inRows, joinWithin } from '../sql/json-values';
import { bindTemplate, boundValue, type Ids, MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { bindStatement, type InsertPart, type Route, type RouteContext, spreadOf, wholeOf } from './route';

/** D1 takes 100 KB of SQL text a statement. */
const MAX_SQL = 90_000;

type Params = readonly unknown[];

export function routeEvery(plan: EveryShardPlan, params: Params, { placement, format }: RouteContext): Route {
  const whole = wholeOf(plan, params, format);
  const none = { keys: [], all: false } as const;
  if (plan.neutral) {
    const shard = placement.shards[0] as string;
    return { kind: 'single', ...none, shards: [shard], shard, ...whole, write: false };
  }
  const { statement, names, renamed } = whole;
  const shards = placement.wholeCluster();
  return { kind: 'broadcast', ...none, shards, names, renamed, statements: [statement], same: true, ddl: plan.ddl };
}

export async function routeInsert(plan: InsertPlan, params: Params, context: RouteContext): Promise<Route> {
  const { placement, format } = context;
  const read = await spreadOf(plan.reaches, params, placement);
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
  const byKey = new Map(placed.map((one) => [one.key, one]));
  const groups = new Map<string, number[]>();
  for (const [i, key] of rowKeys.entries()) {
    const { shard } = byKey.get(key) as PlacedKey;
    const rows = groups.get(shard);
    if (rows) rows.push(i);
    else groups.set(shard, [i]);
  }
  const [shard, ...others] = groups.keys();
  if (shard === undefined || others.length > 0 ? read.shards.length > 0 : read.shards.some((name) => name !== shard))
    throw new Doubt(readsElsewhere(plan, context.sql), [...placed, ...read.keys]);
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
    // No spread: there may be more rows than a call takes arguments.
    const highest = given.map(Number).reduce((most, id) => (Number.isSafeInteger(id) && id > most ? id : most), 0);
    if (highest > 0) await context.passOver(plan.table.name, highest);
  }
  if (needed.length === 0) return new Map();
  // Each row of a SELECT would need one of its own.
  if (plan.idColumn === undefined) throw missingId(plan.table, rowidAlias, context.sql);
  const ids = await context.nextIds(plan.table.name, needed.length);
  return new Map(needed.map((row, i) => [row, ids[i] as string]));
}

/** Rows with one id can be on different shards: another column is the shard key. */
const placesByOther = ({ table }: InsertPlan): boolean =>
  table.placement.kind === 'sharded' && table.placement.key.name !== table.rowidAlias;

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
  if (key === null) {
    throw new ShardKeyError(`The shard key ${table.name}.${column.name} is null.`, {
      ...details,
      remedy: 'Give every row a key: rows without one could not be found by key.',
    });
  }
  if (key === undefined) {
    const value = boundValue(row.key, params);
    const wanted =
      column.affinity === 'text'
        ? 'text; D1 would store a number as 1.0 or 1, depending on how it is bound'
        : 'an integer that JavaScript holds exactly, or its text';
    throw new ShardKeyError(
      `The shard key ${table.name}.${column.name} is ${typeof value} ${String(value)}, but has to be ${wanted}.`,
      {
        ...details,
        remedy: column.affinity === 'text' ? 'Write String(value).' : 'Write a whole number.',
      },
    );
  }
  if (plan.keyUpdates.some((value) => value.kind === 'json' || canonicalValue(value, column.affinity, params) !== key))
    throw keyChange(table.name, column, sql);
  return key;
}

const keyspaceOf = ({ table }: InsertPlan | WritePlan): string =>
  table.placement.kind === 'sharded' ? table.placement.keyspace : '';

function keyColumn({ table }: InsertPlan | WritePlan): Column {
  if (table.placement.kind !== 'sharded') throw new TypeError(`${table.name} is not sharded`);
  return table.placement.key;
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

export async function routeWrite(plan: WritePlan, params: Params, context: RouteContext): Promise<Route> {
  const { placement, sql, format } = context;
  if (plan.keyUpdates.length > 0) await checkKeyUpdates(plan, params, context);
  const spread = await spreadOf(plan.reaches, params, placement);
  const whole = wholeOf(plan, params, format);
  const { statement, names, renamed } = whole;
  if (spread.shards.length < 2) {
    const shard = spread.shards[0] ?? (placement.shards[0] as string);
    return { kind: 'single', ...spread, shards: [shard], shard, statement, names, renamed, write: true };
  }
  if (plan.local) {
    const target = plan.target ? await spreadOf([plan.target], params, placement) : spread;
    const [only, ...others] = target.shards;
    if (only !== undefined && others.length === 0)
      return { kind: 'single', ...target, shard: only, statement, names, renamed, write: true };
    return { kind: 'broadcast', ...target, names, renamed, statements: [statement], same: false, ddl: false };
  }
  if (!plan.twoPhase) throw new Doubt(readsElsewhere(plan, sql), spread.keys);
  const step = plan.twoPhase;
  const find = bindStatement(step.find, params);
  return {
    kind: 'two-phase',
    ...spread,
    names,
    renamed,
    find,
    step,
    key: keyColumn(plan),
    keyspace: keyspaceOf(plan),
    params,
  };
}

/** The shard key may be set to the value it has; anything else is refused before a row is written. */
async function checkKeyUpdates(plan: WritePlan, params: Params, context: RouteContext): Promise<void> {
  const column = keyColumn(plan);
  const wanted = plan.keyUpdates.map((value) =>
    value === 'unknown' || value.kind === 'json' ? undefined : canonicalValue(value, column.affinity, params),
  );
  const target = plan.target?.kind === 'keys' ? keysOf(plan.target.keys, params) : 'all';
  const isSame = (key: unknown) =>
    wanted.every((value) => value !== undefined && value === canonicalKey(key, column.affinity));
  if (target !== 'all' && [...target].every(isSame)) return;
  const found = plan.twoPhase ? await context.read(bindStatement(plan.twoPhase.find, params)) : [[undefined]];
  if (!found.every(([key]) => isSame(key))) throw keyChange(plan.table.name, column, context.sql);
}

const readsElsewhere = (plan: InsertPlan | WritePlan, sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError(
    `The write to ${plan.table.name} reads ${plan.tables.join(', ')}, whose rows are on other shards.`,
    {
      tables: plan.tables,
      sql,
      remedy: 'Read the values first, then write them; or confine all tables to one shard key.',
    },
  );

/** Bound strings may be 2 MB. */
const MAX_KEYS_LENGTH = 600_000;

/** The writes by primary key that follow a find, for one shard. `keys` are JSON arrays. */
export function writesByPrimaryKey(step: TwoPhaseStep, params: Params, keys: readonly string[]): BoundStatement[] {
  const [before, after] = inRows(step.primaryKey);
  return joinWithin(keys, MAX_KEYS_LENGTH).map((list) => {
    const writer = new SqlWriter('', []).append(step.head).text(`where ${before}`);
    writer.slot({ kind: 'value', value: list }).text(after).append(step.tail);
    return { ...bindStatement(writer.done(), params), givesRows: step.tail.sql.trim() !== '' };
  });
}

/** A batch that could not be atomic. */
export const crossShard = (shards: readonly string[], tables: readonly string[]): CrossShardBatchError =>
  new CrossShardBatchError(
    `The batch writes to ${shards.length} shards (${shards.join(', ')}), and no transaction spans databases.`,
    {
      tables,
      remedy: "Write rows of one shard key, or set crossShardBatch: 'per-shard' for one transaction on each shard.",
    },
  );
