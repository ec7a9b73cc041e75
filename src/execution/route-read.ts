import { UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import type { PlacedKey } from '../placement/guard';
import { Doubt } from '../placement/signals';
import type { GatherTable, GatherTop, ReadPlan, ScatterStep } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { LISTED_VALUE, unionOf } from '../sql/json-values';
import { pageNumber } from '../sql/template';
import { quoteName } from '../sql/tokens';
import {
  bindStatement,
  type GatherFetch,
  type GatherRoute,
  type Route,
  type RouteContext,
  type ScatterRoute,
  type Spread,
  spreadOf,
  wholeOf,
} from './route';

/** Decides which shards run what for a SELECT. */
export async function routeRead(plan: ReadPlan, params: readonly unknown[], context: RouteContext): Promise<Route> {
  const { placement, format } = context;
  const spread = await spreadOf(plan.reaches, params, placement);
  if (spread.shards.length < 2) {
    // No key at all: the statement reads replicated tables only, or no row can match. Any shard can say so.
    const shard = spread.shards[0] ?? (placement.shards[0] as string);
    return { kind: 'single', ...spread, shards: [shard], shard, ...wholeOf(plan, params, format), write: false };
  }
  if (plan.rowid) throw new Doubt(rowidError(plan.tables, context.sql), spread.keys);
  return plan.scatter ? routeScatter(plan, plan.scatter, params, context) : routeGather(plan, params, context, spread);
}

async function routeScatter(
  { output }: ReadPlan,
  step: ScatterStep,
  params: readonly unknown[],
  { placement, format }: RouteContext,
): Promise<ScatterRoute> {
  const renames = output.names !== undefined || format === 'arrays';
  return {
    kind: 'scatter',
    ...(await spreadOf([step.reach], params, placement)),
    names: output.names,
    renamed: renames && output.positional !== undefined,
    statement: bindStatement(renames ? step.positional : step.template, params),
    merge: step.merge,
    order: step.order,
    limit: step.limit && pageNumber('LIMIT', step.limit, params),
    offset: step.offset ? pageNumber('OFFSET', step.offset, params) : 0,
  };
}

async function routeGather(
  plan: ReadPlan,
  params: readonly unknown[],
  context: RouteContext,
  spread: Spread,
  step = plan.gather(),
): Promise<GatherRoute> {
  const { placement, format } = context;
  const { otherwise } = step;
  if (otherwise && step.same?.some(([a, b]) => !Object.is(params[a], params[b]))) {
    return routeGather(plan, params, context, spread, otherwise);
  }
  const { names, positional } = plan.output;
  const renames = positional !== undefined || step.renamed;
  const fetches = await Promise.all(
    step.tables.map(async (table): Promise<GatherFetch> => {
      const own = await spreadOf(table.reaches, params, placement);
      const statement = bindStatement(table.fetch, params);
      const { key, filtered, top } = table;
      const keyed = key && !own.all ? ofKeys(statement, filtered, key, own.keys) : undefined;
      return {
        table,
        ...own,
        statement: keyed ?? statement,
        filtered: filtered || keyed !== undefined,
        top: top && topRows(top, params),
      };
    }),
  );
  return {
    kind: 'gather',
    ...spread,
    names,
    renamed: renames && names !== undefined,
    fetches,
    levels: levelsOf(step.tables),
    finishOn: (fetches[0]?.shards[0] ?? spread.shards[0]) as string,
    head: bindStatement(step.head, params),
    body: bindStatement(step.body, params),
    hasWith: step.hasWith,
    renames: renames && (names || format === 'arrays') ? { count: names?.length } : undefined,
    otherwise: otherwise && (() => routeGather(plan, params, context, spread, otherwise)),
  };
}

/** Which fetches can be made at the same time: each after those that it is linked to. */
function levelsOf(tables: readonly GatherTable[]): number[][] {
  const levels: number[] = [];
  for (const { links } of tables) {
    levels.push(links.reduce((level, { from }) => Math.max(level, (levels[from] as number) + 1), 0));
  }
  return Array.from({ length: Math.max(0, ...levels) + 1 }, (_, level) =>
    [...levels.keys()].filter((i) => levels[i] === level),
  );
}

/** The rows of these keys. As texts, which the column's affinity makes what they are. */
function ofKeys({ sql, params }: BoundStatement, filtered: boolean, column: Column, keys: readonly PlacedKey[]) {
  const list = JSON.stringify([...new Set(keys.map(({ key }) => key))]);
  return { sql: sql + inLists(filtered, column, 1), params: [...params, list] };
}

/** ` where "user_id" in (...)`, or ` and ...`, over so many JSON arrays. */
export function inLists(filtered: boolean, { name }: Column, count: number): string {
  const lists = Array.from({ length: count }, () => `select ${LISTED_VALUE} as value from json_each(?)`);
  return ` ${filtered ? 'and' : 'where'} ${quoteName(name)} in (${unionOf(lists, 'value')})`;
}

/** LIMIT and OFFSET of the whole statement are left to its end. */
function topRows({ order, limit, offset, hopeful }: GatherTop, params: readonly unknown[]): GatherFetch['top'] {
  const count = pageNumber('LIMIT', limit, params);
  if (count < 0) return { order, limit: undefined, page: undefined };
  const kept = count + (offset ? pageNumber('OFFSET', offset, params) : 0);
  return { order, limit: kept, page: hopeful ? count : undefined };
}

const rowidError = (tables: readonly string[], sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError('The statement names rowid, which every shard counts by itself.', {
    tables,
    sql,
    remedy: "Name the table's primary key.",
  });
