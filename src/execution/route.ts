import { UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import type { Placement } from '../placement/placement';
import { keysOf } from '../plan/key-set';
import type { GatherTable, OrderKey, Reach, ReadPlan, ScatterStep, TwoPhaseStep } from '../plan/plan';
import { bindTemplate, pageNumber, type Template } from '../sql/template';
import type { BoundStatement } from './shard-set';

/** How one statement with its values will be run: data, printable, and nothing has been run yet. */
export type Route =
  | { readonly kind: 'single'; readonly shard: string; readonly statement: BoundStatement; readonly write: boolean }
  | ScatterRoute
  | GatherRoute
  | InsertRoute
  | BroadcastRoute
  | TwoPhaseRoute;

interface Multi {
  readonly shards: readonly string[];
}

export interface ScatterRoute extends Multi {
  readonly kind: 'scatter';
  readonly statement: BoundStatement;
  readonly merge: 'rows' | 'sum';
  readonly order: readonly OrderKey[];
  readonly offset: number;
  readonly limit: number | undefined;
}

export interface GatherRoute extends Multi {
  readonly kind: 'gather';
  readonly fetches: readonly {
    readonly table: GatherTable;
    readonly shards: readonly string[];
    readonly statement: BoundStatement;
  }[];
  readonly finishOn: string;
  readonly head: BoundStatement;
  readonly body: BoundStatement;
  readonly hasWith: boolean;
}

export interface InsertRoute extends Multi {
  readonly kind: 'insert';
  readonly parts: readonly InsertPart[];
  readonly returning: boolean;
  readonly returnsKey: boolean;
  /** The names of RETURNING's columns, where they had to be replaced. */
  readonly returningNames: readonly string[] | undefined;
  /** The canonical key of each inserted row, in the order given. */
  readonly keys: readonly string[];
}

export interface InsertPart {
  readonly shard: string;
  readonly statements: readonly BoundStatement[];
  /** Which rows of the INSERT it holds. */
  readonly rows: readonly number[];
}

/** The same write on several shards. */
export interface BroadcastRoute extends Multi {
  readonly kind: 'broadcast';
  /** More than one where an INSERT binds too many values for one: a transaction on each shard. */
  readonly statements: readonly BoundStatement[];
  /** Each shard has the same rows (a replicated table, DDL): the first answers for all and goes first. */
  readonly same: boolean;
  readonly ddl: boolean;
}

export interface TwoPhaseRoute extends Multi {
  readonly kind: 'two-phase';
  readonly find: BoundStatement;
  readonly step: TwoPhaseStep;
  readonly key: Column;
  readonly keyspace: string;
  readonly params: readonly unknown[];
}

/** What routing asks of its surroundings. */
export interface RouteContext {
  readonly placement: Placement;
  readonly sql: string;
  /** Runs a read through this same machinery, for writes that must look first. */
  readonly read: (statement: BoundStatement) => Promise<readonly (readonly unknown[])[]>;
}

/** The shards that own the rows which some mentions of tables can use. */
export async function shardsOf(
  reaches: readonly Reach[],
  params: readonly unknown[],
  placement: Placement,
): Promise<string[]> {
  const [only] = reaches;
  if (reaches.length === 1 && only?.kind === 'pinned') return [only.shard];
  const shards = new Set<string>();
  for (const reach of reaches) {
    if (reach.kind === 'pinned') {
      shards.add(reach.shard);
      continue;
    }
    const keys = keysOf(reach.keys, params);
    if (keys === 'all') {
      for (const shard of placement.shards) shards.add(shard);
    } else for (const key of keys) shards.add(await placement.ownerOf(reach.keyspace, key));
  }
  // In the placement's order, so that the same statement always asks and merges in the same order.
  return shards.size < 2 ? [...shards] : placement.shards.filter((shard) => shards.has(shard));
}

export const bindStatement = (template: Template, params: readonly unknown[]): BoundStatement => ({
  sql: template.sql,
  params: bindTemplate(template, params),
});

export async function routeRead(plan: ReadPlan, params: readonly unknown[], context: RouteContext): Promise<Route> {
  const { placement } = context;
  const shards = await shardsOf(plan.reaches, params, placement);
  if (shards.length < 2) {
    // No key at all: the statement reads replicated tables only, or no row can match. Any shard can say so.
    const shard = shards[0] ?? (placement.shards[0] as string);
    return { kind: 'single', shard, statement: bindStatement(plan.whole, params), write: false };
  }
  if (plan.rowid) throw rowidError(plan.tables, context.sql);
  return plan.scatter ? routeScatter(plan.scatter, params, placement) : routeGather(plan, params, placement, shards);
}

async function routeScatter(
  step: ScatterStep,
  params: readonly unknown[],
  placement: Placement,
): Promise<ScatterRoute> {
  return {
    kind: 'scatter',
    shards: await shardsOf([step.reach], params, placement),
    statement: bindStatement(step.template, params),
    merge: step.merge,
    order: step.order,
    limit: step.limit && pageNumber('LIMIT', step.limit, params),
    offset: step.offset ? pageNumber('OFFSET', step.offset, params) : 0,
  };
}

async function routeGather(
  plan: ReadPlan,
  params: readonly unknown[],
  placement: Placement,
  shards: readonly string[],
): Promise<GatherRoute> {
  const step = plan.gather();
  const fetches = await Promise.all(
    step.tables.map(async (table) => ({
      table,
      shards: await shardsOf(table.reaches, params, placement),
      statement: bindStatement(table.fetch, params),
    })),
  );
  return {
    kind: 'gather',
    shards,
    fetches,
    finishOn: shards[0] as string,
    head: bindStatement(step.head, params),
    body: bindStatement(step.body, params),
    hasWith: step.hasWith,
  };
}

const rowidError = (tables: readonly string[], sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError('The statement names rowid, which every shard counts by itself.', {
    tables,
    sql,
    remedy: "Name the table's primary key.",
  });
