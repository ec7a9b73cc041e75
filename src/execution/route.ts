import { UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import type { PlacedKey } from '../placement/guard';
import type { Placement } from '../placement/placement';
import { Doubt } from '../placement/signals';
import { keysOf } from '../plan/key-set';
import type { GatherTable, GatherTop, OrderKey, Plan, Reach, ReadPlan, ScatterStep, TwoPhaseStep } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { LISTED_VALUE, unionOf } from '../sql/json-values';
import { bindTemplate, pageNumber, type Template } from '../sql/template';
import { quoteName } from '../sql/tokens';
import type { RowFormat } from './shard-set';

/** How one statement with its values will be run: data, printable, and nothing has been run yet. */
export type Route = SingleRoute | ScatterRoute | GatherRoute | InsertRoute | BroadcastRoute | TwoPhaseRoute;

/** Which rows a statement can use, and where they are believed to be. */
export interface Spread {
  readonly shards: readonly string[];
  /** Every key that it names, with its owner. */
  readonly keys: readonly PlacedKey[];
  /** It uses rows of any key: then all shards answer, and ownership may not change between their answers. */
  readonly all: boolean;
}

/** The shards to ask are those of the spread. */
interface Multi extends Spread {
  /** The names of the result's columns; undefined where only the database knows them. */
  readonly names?: readonly string[] | undefined;
  /** The statement runs with names of ours. */
  readonly renamed: boolean;
}

export interface SingleRoute extends Multi {
  readonly kind: 'single';
  readonly shard: string;
  readonly statement: BoundStatement;
  readonly write: boolean;
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
  /** Each is linked to earlier ones only. */
  readonly fetches: readonly GatherFetch[];
  readonly finishOn: string;
  readonly head: BoundStatement;
  readonly body: BoundStatement;
  readonly hasWith: boolean;
  /** How many columns it has, where they need names of ours; undefined: not known. */
  readonly renames: { readonly count: number | undefined } | undefined;
  /** With the rows themselves, where partial sums overflow. */
  readonly otherwise: (() => Promise<GatherRoute>) | undefined;
}

/** How the rows of a table are fetched, and where they are as far as it is known before other rows are. */
export interface GatherFetch extends Spread {
  readonly table: GatherTable;
  readonly statement: BoundStatement;
  /** It ends with a WHERE, which can be added to. */
  readonly filtered: boolean;
  /** Only the first rows of all shards are kept. */
  readonly top: { readonly order: readonly OrderKey[]; readonly limit: number | undefined } | undefined;
}

export interface InsertRoute extends Multi {
  readonly kind: 'insert';
  readonly parts: readonly InsertPart[];
  readonly returning: boolean;
  readonly returnsKey: boolean;
  /** The canonical key of each inserted row, in the order given. */
  readonly rowKeys: readonly string[];
  /** The statements for some of the rows: when a shard refuses its part, the rows are given to their new owners. */
  readonly statementsFor: (rows: readonly number[]) => BoundStatement[];
}

export interface InsertPart {
  readonly shard: string;
  readonly keys: readonly PlacedKey[];
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
  readonly format: RowFormat;
  /** The next numbers of a table's sequence. */
  readonly nextIds: (table: string, count: number) => Promise<string[]>;
  /** A row comes with an id of its own, which the sequence must not give to another. */
  readonly passOver: (table: string, id: number) => Promise<void>;
  /** Runs a read through this same machinery, for writes that must look first. */
  readonly read: (statement: BoundStatement) => Promise<readonly (readonly unknown[])[]>;
}

/** The shards that own the rows which some mentions of tables can use. */
export async function spreadOf(
  reaches: readonly Reach[],
  params: readonly unknown[],
  placement: Placement,
): Promise<Spread> {
  const shards = new Set<string>();
  const placed: PlacedKey[] = [];
  let all = false;
  for (const reach of reaches) {
    if (reach.kind === 'pinned') {
      shards.add(reach.shard);
      continue;
    }
    const keys = keysOf(reach.keys, params);
    if (keys === 'all') all = true;
    else placed.push(...(await placement.place(reach.keyspace, keys)));
  }
  if (all) return { shards: placement.everyShard(), keys: placed, all };
  for (const { shard } of placed) shards.add(shard);
  // In the placement's order, so that the same statement always asks and merges in the same order.
  const ordered = shards.size < 2 ? [...shards] : placement.shards.filter((shard) => shards.has(shard));
  return { shards: ordered, keys: placed, all };
}

export const bindStatement = (template: Template, params: readonly unknown[]): BoundStatement => ({
  sql: template.sql,
  params: bindTemplate(template, params),
});

/** The statement as it is, or with names of ours for its columns where objects would lose some. */
export function wholeOf(
  { whole, output }: Pick<Plan, 'whole' | 'output'>,
  params: readonly unknown[],
  format: RowFormat,
): { readonly statement: BoundStatement; readonly names: readonly string[] | undefined; readonly renamed: boolean } {
  const { names, positional } = output;
  // Without names to give back, objects are left to D1.
  const renames = positional !== undefined && (names !== undefined || format === 'arrays');
  const statement = bindStatement(renames ? positional : whole, params);
  // A write without RETURNING has no columns.
  return { statement: { ...statement, givesRows: names?.length !== 0 }, names, renamed: renames };
}

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
        top: top && { order: top.order, limit: keptRows(top, params) },
      };
    }),
  );
  return {
    kind: 'gather',
    ...spread,
    names,
    renamed: renames && names !== undefined,
    fetches,
    finishOn: (fetches[0]?.shards[0] ?? spread.shards[0]) as string,
    head: bindStatement(step.head, params),
    body: bindStatement(step.body, params),
    hasWith: step.hasWith,
    renames: renames && (names || format === 'arrays') ? { count: names?.length } : undefined,
    otherwise: otherwise && (() => routeGather(plan, params, context, spread, otherwise)),
  };
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
function keptRows({ limit, offset }: GatherTop, params: readonly unknown[]): number | undefined {
  const count = pageNumber('LIMIT', limit, params);
  return count < 0 ? undefined : count + (offset ? pageNumber('OFFSET', offset, params) : 0);
}

const rowidError = (tables: readonly string[], sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError('The statement names rowid, which every shard counts by itself.', {
    tables,
    sql,
    remedy: "Name the table's primary key.",
  });
