import { GatherLimitError } from '../errors';
import { canonicalKey } from '../placement/key';
import type { InsertPlan, SourceStep } from '../plan/plan';
import { nullKey, wrongKey } from '../plan/refusals';
import type { BoundStatement } from '../sql/bound';
import { joinWithin } from '../sql/json-values';
import { bindTemplate } from '../sql/template';
import { checkUpsertedKey, groupByOwner, keyColumn, keyspaceOf, passOverAll, placesByOther } from './insert-keys';
import { bindStatement, type InsertPart, type Route, type RouteContext, wholeOf } from './route';

/** A row of the source: its key and id as text, or null, and itself as JSON. */
interface FoundRow {
  readonly key: string | null;
  readonly isBlob: boolean;
  readonly id: string | null;
  readonly json: string;
}

/**
 * An INSERT whose rows are read first, from whatever shards, and then go to those that own their keys. Between the two
 * another writer may come.
 */
export async function routeSource(
  plan: InsertPlan,
  step: SourceStep,
  params: readonly unknown[],
  context: RouteContext,
): Promise<Route> {
  const { placement, format, sql } = context;
  const { table } = plan;
  const find = bindStatement(step.find, params);
  const found = await readRows(plan, find, context);
  const ids = table.placement.kind === 'pinned' ? [] : await idsFor(plan, found, context);
  const statementsFor = (rows: readonly number[]) => {
    const texts = rows.map((at) => `[${ids[at] ?? 'null'},${(found[at] as FoundRow).json}]`);
    return joinWithin(texts).map((list): BoundStatement => {
      const [before, after] = [step.head, step.tail].map((template) => bindTemplate(template, params));
      const bound = [...(before ?? []), list, ...(after ?? [])];
      return { sql: `${step.head.sql}?${step.tail.sql}`, params: bound, givesRows: plan.returning };
    });
  };
  const { names, renamed } = wholeOf(plan, params, format);
  const shared = { names, renamed, all: false, found: find } as const;
  const every = [...found.keys()];
  if (table.placement.kind === 'replicated') {
    const statements = statementsFor(every);
    return {
      kind: 'broadcast',
      ...shared,
      keys: [],
      shards: placement.wholeCluster(),
      statements,
      same: true,
      ddl: false,
    };
  }
  const insert = {
    kind: 'insert',
    ...shared,
    returning: plan.returning,
    returnsKey: step.returnsKey,
    statementsFor,
  } as const;
  if (table.placement.kind === 'pinned') {
    const { shard } = table.placement;
    const part = { shard, keys: [], rows: every, statements: statementsFor(every) };
    return { ...insert, shards: [shard], keys: [], parts: [part], rowKeys: [] };
  }
  const rowKeys = found.map((row, i) => keyOf(plan, row, ids[i], params, sql));
  const keys = await placement.placeNew(keyspaceOf(plan), new Set(rowKeys));
  const groups = groupByOwner(keys, rowKeys);
  const parts = [...groups].map(([shard, rows]): InsertPart => {
    return { shard, keys: keys.filter((key) => key.shard === shard), rows, statements: statementsFor(rows) };
  });
  return { ...insert, shards: [...groups.keys()], keys, parts, rowKeys };
}

async function readRows(
  { tables, table }: InsertPlan,
  find: BoundStatement,
  context: RouteContext,
): Promise<FoundRow[]> {
  const { rows: most, bytes } = context.limits;
  const rows = await context.read({ ...find, sql: `${find.sql} limit ${most + 1}` });
  const size = rows.reduce((sum, row) => sum + String(row[3]).length, 0);
  if (rows.length > most || size > bytes) {
    throw new GatherLimitError(
      `The rows to insert into ${table.name} have to be read first, and are more than the limit of ${most} rows, ${bytes} bytes.`,
      {
        tables,
        sql: context.sql,
        remedy: 'Insert them in parts, by a condition; or raise limits.gatherRows and limits.gatherBytes.',
      },
    );
  }
  const textOf = (value: unknown) => (value === null ? null : String(value));
  return rows.map(([key, blob, id, json]) => ({
    key: textOf(key),
    isBlob: blob === 1,
    id: textOf(id),
    json: String(json),
  }));
}

/** By row, the number of the table's sequence for one that leaves its INTEGER PRIMARY KEY to the database. */
async function idsFor(
  plan: InsertPlan,
  found: readonly FoundRow[],
  context: RouteContext,
): Promise<readonly (string | undefined)[]> {
  if (plan.table.rowidAlias === undefined) return [];
  if (placesByOther(plan))
    await passOverAll(
      plan,
      found.map(({ id }) => id ?? 0),
      context,
    );
  const needed = found.filter(({ id }) => id === null).length;
  if (needed === 0) return [];
  const ids = await context.nextIds(plan.table.name, needed);
  let next = 0;
  return found.map(({ id }) => (id === null ? ids[next++] : undefined));
}

function keyOf(
  plan: InsertPlan,
  { key, isBlob, id }: FoundRow,
  given: string | undefined,
  params: readonly unknown[],
  sql: string,
) {
  const { table } = plan;
  const column = keyColumn(plan);
  if (given !== undefined && table.rowidAlias === column.name) return given;
  const canonical = canonicalKey(key, column.affinity);
  if (canonical === null) throw nullKey(table, column, sql);
  if (canonical === undefined || isBlob)
    throw wrongKey(table, column, isBlob ? 'a blob' : `${key}${id === null ? '' : ` of row ${id}`}`, sql);
  checkUpsertedKey(plan, canonical, params, sql);
  return canonical;
}
