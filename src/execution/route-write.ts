import { CrossShardBatchError, ShardKeyError, UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import { canonicalKey } from '../placement/key';
import { canonicalValue, keysOf } from '../plan/key-set';
import type { EveryShardPlan, InsertPlan, InsertRow, TwoPhaseStep, WritePlan } from '../plan/plan';
import { keyChange, missingId } from '../plan/refusals';
import { inRows, joinWithin } from '../sql/json-values';
import { bindTemplate, boundValue, MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { bindStatement, type InsertPart, type Route, type RouteContext, shardsOf } from './route';
import type { BoundStatement } from './shard-set';

/** D1 takes 100 KB of SQL text a statement. */
const MAX_SQL = 90_000;

type Params = readonly unknown[];

export function routeEvery(plan: EveryShardPlan, params: Params, { placement }: RouteContext): Route {
  const statement = bindStatement(plan.whole, params);
  if (plan.neutral) return { kind: 'single', shard: placement.shards[0] as string, statement, write: false };
  return { kind: 'broadcast', shards: placement.shards, statements: [statement], same: true, ddl: plan.ddl };
}

export async function routeInsert(plan: InsertPlan, params: Params, context: RouteContext): Promise<Route> {
  const { placement } = context;
  const read = await shardsOf(plan.reaches, params, placement);
  const { rowidAlias } = plan.table;
  for (const { id } of rowidAlias === undefined || plan.mode === 'pinned' ? [] : plan.rows) {
    if (id !== undefined && id !== 'other' && boundValue(id, params) === null)
      throw missingId(plan.table, rowidAlias as string, context.sql);
  }
  const isTooLong = plan.whole.slots.length > MAX_PARAMS && plan.rows.length > 1;
  const all = plan.rows.map((_, i) => i);
  if (plan.mode === 'replicated') {
    const statements = isTooLong ? splitRows(plan, all, params) : [bindStatement(plan.whole, params)];
    return { kind: 'broadcast', shards: placement.shards, statements, same: true, ddl: false };
  }
  const { returning, returnsKey, returningNames } = plan;
  if (plan.mode === 'pinned') {
    const [shard, ...others] = read as [string, ...string[]];
    if (others.length > 0) throw readsElsewhere(plan, context.sql);
    if (isTooLong) {
      const part = { shard, rows: all, statements: splitRows(plan, all, params) };
      return { kind: 'insert', shards: [shard], parts: [part], returning, returnsKey, returningNames, keys: [] };
    }
    return { kind: 'single', shard: read[0] as string, statement: bindStatement(plan.whole, params), write: true };
  }
  if (plan.mode === 'colocated') {
    const statement = bindStatement(plan.whole, params);
    if (read.length === 1) return { kind: 'single', shard: read[0] as string, statement, write: true };
    return { kind: 'broadcast', shards: read, statements: [statement], same: false, ddl: false };
  }
  const keys = plan.rows.map((row) => insertedKey(plan, row, params, context.sql));
  const groups = await groupByOwner(plan, keys, context);
  const [shard, ...others] = groups.keys();
  if (shard === undefined || others.length > 0 ? read.length > 0 : read.some((name) => name !== shard))
    throw readsElsewhere(plan, context.sql);
  if (shard !== undefined && others.length === 0 && plan.whole.slots.length <= MAX_PARAMS) {
    return { kind: 'single', shard, statement: bindStatement(plan.whole, params), write: true };
  }
  const parts = [...groups].map(
    ([name, rows]): InsertPart => ({ shard: name, rows, statements: splitRows(plan, rows, params) }),
  );
  return { kind: 'insert', shards: [...groups.keys()], parts, returning, returnsKey, returningNames, keys };
}

async function groupByOwner(
  plan: InsertPlan,
  keys: readonly string[],
  { placement }: RouteContext,
): Promise<Map<string, number[]>> {
  const groups = new Map<string, number[]>();
  const keyspace = keyspaceOf(plan);
  for (const [i, key] of keys.entries()) {
    const shard = await placement.ownerOf(keyspace, key);
    const rows = groups.get(shard);
    if (rows) rows.push(i);
    else groups.set(shard, [i]);
  }
  return groups;
}

/** The key of a row to insert, in its one spelling. */
function insertedKey(plan: InsertPlan, row: InsertRow, params: Params, sql: string): string {
  const { table } = plan;
  const column = keyColumn(plan);
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
function splitRows(plan: InsertPlan, rows: readonly number[], params: Params): BoundStatement[] {
  const fixed = plan.head.slots.length + plan.tail.slots.length;
  const statements: BoundStatement[] = [];
  let chunk: Template[] = [];
  let slots = fixed;
  let length = plan.head.sql.length + plan.tail.sql.length;
  const close = () => {
    if (chunk.length === 0) return;
    const sql = plan.head.sql + chunk.map((row) => row.sql).join(', ') + plan.tail.sql;
    const bound = [plan.head, ...chunk, plan.tail].flatMap((template) => bindTemplate(template, params));
    statements.push({ sql, params: bound });
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
  const { placement, sql } = context;
  if (plan.keyUpdates.length > 0) await checkKeyUpdates(plan, params, context);
  const shards = await shardsOf(plan.reaches, params, placement);
  const statement = bindStatement(plan.whole, params);
  if (shards.length < 2)
    return { kind: 'single', shard: shards[0] ?? (placement.shards[0] as string), statement, write: true };
  const target = plan.target ? await shardsOf([plan.target], params, placement) : [];
  if (plan.local) {
    const [only, ...others] = target;
    if (only !== undefined && others.length === 0) return { kind: 'single', shard: only, statement, write: true };
    return { kind: 'broadcast', shards: target, statements: [statement], same: false, ddl: false };
  }
  if (!plan.twoPhase) throw readsElsewhere(plan, sql);
  const step = plan.twoPhase;
  const find = bindStatement(step.find, params);
  return { kind: 'two-phase', shards, find, step, key: keyColumn(plan), keyspace: keyspaceOf(plan), params };
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
    return bindStatement(writer.done(), params);
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
