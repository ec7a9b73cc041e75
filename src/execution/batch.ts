import { UnknownTableError, UnsupportedStatementError } from '../errors';
import type { Attempt } from '../placement/attempt';
import type { Demand, PlacedKey } from '../placement/guard';
import { Doubt, type Refusal } from '../placement/signals';
import type { Plan } from '../plan/plan';
import { planTableCopy } from '../plan/plan-statement';
import type { BoundStatement } from '../sql/bound';
import { afterRefusal } from './probe';
import { writeReference } from './reference-write';
import { mergeBroadcast, mergeInsert, mergeScatter, named } from './results';
import type { Route } from './route';
import { crossShard } from './route-write';
import { demandOf, type Executor } from './run';
import { writeSchema } from './schema-change';
import type { ShardRows } from './shard-set';
import { type Part, writeParts } from './write';
import { writePinned } from './write-routes';

interface Planned {
  readonly statement: BoundStatement;
  readonly plan: Plan;
  readonly route: Route;
}

/** Where in which shard's batch a statement's results will be. */
interface Share {
  readonly shard: string;
  readonly from: number;
  readonly count: number;
}

/**
 * Runs a batch. On one shard it is one D1 batch, atomic. Reads may span shards. Writes that span shards are refused, unless
 * `crossShardBatch` says that one transaction on each shard is enough, or they do the same on every shard.
 */
export async function runBatch(
  executor: Executor,
  statements: readonly BoundStatement[],
  routed: (statement: BoundStatement, route: Route) => void,
): Promise<ShardRows[]> {
  const [first] = statements;
  if (first) executor.checkText(first.sql);
  return executor.accepted([], (attempt) => tryBatch(executor, attempt, statements, routed));
}

async function tryBatch(
  executor: Executor,
  attempt: Attempt,
  statements: readonly BoundStatement[],
  routed: (statement: BoundStatement, route: Route) => void,
): Promise<ShardRows[]> {
  const planned: Planned[] = [];
  for (const statement of statements) {
    const one = await prepareInBatch(executor, attempt, statement, planned);
    routed(statement, one.route);
    planned.push(one);
  }
  const tables = [...new Set(planned.flatMap(({ plan }) => plan.tables))];
  // What was read for it is older than what stands before it in the batch.
  const early = planned.find(({ route }) => route.found);
  if (early) throw new Doubt(looksFirst(early, tables), keysOf(planned));
  const shards = batchShards(attempt, planned);
  const [only, ...others] = shards;
  if (only !== undefined && others.length === 0) return runParts(executor, attempt, planned, tables, only);
  executor.checkQueries(
    planned.map(({ route }) => route),
    tables,
  );
  if (planned.every(({ plan }) => plan.kind === 'read')) {
    const results: ShardRows[] = [];
    for (const { route, plan } of planned) results.push(await executor.run(route, attempt, plan.tables));
    return results;
  }
  const same = planned.every(
    ({ route, plan }) =>
      (route.kind === 'broadcast' && route.same) ||
      isNeutral(plan) ||
      readsEverywhere(plan) ||
      isPartOfMigration(planned, plan),
  );
  if (!same && executor.cluster.crossShardBatch === 'refuse')
    throw new Doubt(crossShard(shards, tables), keysOf(planned));
  const late = planned.find(({ route }) => route.kind === 'gather' || route.kind === 'two-phase');
  if (late) throw new Doubt(looksFirst(late, tables), keysOf(planned));
  return runParts(executor, attempt, planned, tables, undefined);
}

const looksFirst = ({ route, statement: { sql } }: Planned, tables: readonly string[]): UnsupportedStatementError =>
  new UnsupportedStatementError(
    `A statement of the batch has to look at several shards before it can run (${route.kind}).`,
    { tables, sql, remedy: 'Run it by itself, before or after the batch.' },
  );

/** A table that the batch itself makes cannot be asked for yet; a migration may copy rows into it. */
async function prepareInBatch(
  executor: Executor,
  attempt: Attempt,
  statement: BoundStatement,
  before: readonly Planned[],
): Promise<Planned> {
  try {
    return { statement, ...(await executor.prepare(statement, attempt, 'objects')) };
  } catch (error) {
    if (!(error instanceof UnknownTableError) || !before.some(({ plan }) => isDdl(plan))) throw error;
    const plan = planTableCopy(statement.sql);
    if (plan) return { statement, plan, route: executor.route(plan, statement, attempt, 'objects') as Route };
    throw new UnsupportedStatementError(
      'The batch uses a table that it makes itself, so its shard key is not known yet.',
      {
        cause: error,
        tables: error.tables,
        remedy: 'Run the schema change first, then the rest.',
      },
    );
  }
}

const keysOf = (planned: readonly Planned[]): PlacedKey[] => planned.flatMap(({ route }) => route.keys);

const isDdl = (plan: Plan): boolean => plan.kind === 'every' && plan.ddl;

const isNeutral = (plan: Plan): boolean => plan.kind === 'every' && plan.neutral;

/** Reads replicated tables only: any shard will do. */
const readsEverywhere = (plan: Plan): boolean => plan.kind === 'read' && plan.reaches.length === 0;

/** Beside DDL, an update or delete of every row is part of the migration. */
const isPartOfMigration = (planned: readonly Planned[], plan: Plan): boolean =>
  planned.some((one) => isDdl(one.plan)) && (plan.kind === 'update' || plan.kind === 'delete') && plan.local;

/** Every shard that the batch has to run on. What goes anywhere goes along. */
function batchShards(attempt: Attempt, planned: readonly Planned[]): readonly string[] {
  const shards = new Set<string>();
  for (const { route, plan } of planned) {
    if (isNeutral(plan) || readsEverywhere(plan)) continue;
    for (const shard of route.shards) shards.add(shard);
  }
  return shards.size === 0 ? [attempt.shards[0] as string] : attempt.shards.filter((shard) => shards.has(shard));
}

/** One D1 batch on each shard, in the order given; then each statement's results are merged as if it had run alone. */
async function runParts(
  executor: Executor,
  attempt: Attempt,
  planned: readonly Planned[],
  tables: readonly string[],
  only: string | undefined,
): Promise<ShardRows[]> {
  const queues = new Map<string, BoundStatement[]>();
  const add = (shard: string, list: readonly BoundStatement[]): Share => {
    const queue = queues.get(shard) ?? [];
    queues.set(shard, queue);
    queue.push(...list);
    return { shard, from: queue.length - list.length, count: list.length };
  };
  const shares = planned.map(({ route, plan }): Share[] => {
    if (isNeutral(plan) && route.kind === 'single')
      return (only === undefined ? attempt.everyShard() : [only]).map((shard) => add(shard, [route.statement]));
    if (route.kind === 'single') return [add(only ?? route.shard, [route.statement])];
    if (route.kind === 'insert') return route.parts.map((part) => add(part.shard, part.statements));
    if (route.kind === 'scatter') return route.shards.map((shard) => add(shard, [route.statement]));
    if (route.kind === 'broadcast') return route.shards.map((shard) => add(shard, route.statements));
    throw new TypeError(`a ${route.kind} cannot be part of a batch`);
  });
  const write = !planned.every(({ plan }) => plan.kind === 'read');
  const parts = [...queues].map(
    ([shard, statements]): Part => ({
      demand: batchDemand(attempt, shard, planned, write, only !== undefined),
      statements,
    }),
  );
  const results = await writeBatch(executor, attempt, planned, parts, tables);
  const byShard = new Map(parts.map((part, i) => [part.demand.shard, results[i] ?? []]));
  return planned.map(({ route }, i) => {
    const own = (shares[i] ?? []).map(({ shard, from, count }) => (byShard.get(shard) ?? []).slice(from, from + count));
    if (route.kind === 'scatter') return named(route, mergeScatter(route, own.flat()));
    if (route.kind === 'insert') return named(route, mergeInsert(route, route.parts, own));
    if (route.kind === 'broadcast') return named(route, mergeBroadcast(route, own));
    return named(route, (own[0] as ShardRows[])[0] as ShardRows);
  });
}

/** All that the batch's statements need of one shard, in one guard. */
function batchDemand(
  attempt: Attempt,
  shard: string,
  planned: readonly Planned[],
  write: boolean,
  alone: boolean,
): Demand {
  const routes = planned.map(({ route }) => route);
  const keys = routes.flatMap((route) => route.keys);
  const own = new Map<string, PlacedKey>();
  for (const key of keys) {
    const name = `${key.keyspace}\0${key.key}`;
    // What home has just said of a key stays with it: its shard may have no record of it before this batch.
    if (key.shard === shard && own.get(name)?.known === undefined) own.set(name, key);
  }
  const elsewhere = routes
    .filter(({ kind }) => kind === 'scatter' || kind === 'broadcast')
    .flatMap((route) => route.keys.filter((key) => key.shard !== shard));
  const all = alone && routes.some((route) => route.all);
  return { ...demandOf(attempt, shard, [...own.values()], write, all), absent: elsewhere, once: attempt.name };
}

/** The same part for the shard that has its keys now, if one has them all. */
async function partAt(attempt: Attempt, part: Part): Promise<Part | undefined> {
  const own: PlacedKey[] = [];
  for (const { keyspace, key } of part.demand.own) own.push(...(await attempt.place(keyspace, [key])));
  const [first] = own;
  if (!first || own.some(({ shard }) => shard !== first.shard)) return undefined;
  return { ...part, demand: { ...part.demand, cluster: attempt.cluster, shard: first.shard, own } };
}

function writeBatch(
  executor: Executor,
  attempt: Attempt,
  planned: readonly Planned[],
  parts: readonly Part[],
  tables: readonly string[],
): Promise<ShardRows[][]> {
  const write = !planned.every(({ plan }) => plan.kind === 'read');
  const routes = planned.map(({ route }) => route);
  if (planned.some(({ plan }) => isDdl(plan))) return writeSchema(executor, attempt, parts, tables);
  const everywhere = routes.filter(({ kind }) => kind === 'broadcast');
  if (parts.length < 2 || (everywhere.length === 0 && !routes.some((route) => route.all))) {
    const { rehearseWrites, moveTimeoutMs } = executor.cluster;
    let latest = attempt;
    const reroute = async (part: Part, refusal: Refusal): Promise<Part | undefined> => {
      try {
        latest = await afterRefusal(executor, latest, refusal, true);
        return await partAt(latest, part);
      } catch {
        // The part's refusal says more than that its keys were not found.
        return undefined;
      }
    };
    return writeParts(executor.shards, parts, {
      tables,
      write,
      rehearse: rehearseWrites && write,
      moveTimeoutMs,
      reroute,
    });
  }
  const shards = parts.map(({ demand }) => demand.shard);
  const demandAt = (shard: string) => (parts[shards.indexOf(shard)] as Part).demand;
  const bare = parts.map(({ demand, statements }) => ({ demand: { ...demand, absent: [] }, statements }));
  if (everywhere.some((route) => route.kind === 'broadcast' && route.same)) {
    return writeReference(executor, attempt, bare, demandAt, tables);
  }
  const all = routes.some((route) => route.all);
  return writePinned(executor, attempt, { parts: bare, demandAt, all }, tables);
}
