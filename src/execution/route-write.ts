import { CrossShardBatchError } from '../errors';
import { canonicalKey } from '../placement/key';
import { Doubt } from '../placement/signals';
import { canonicalValue, keysOf } from '../plan/key-set';
import type { EveryShardPlan, TwoPhaseStep, WritePlan } from '../plan/plan';
import { keyChange } from '../plan/refusals';
import { keyColumn, keyspaceOf, readsElsewhere } from './insert-keys';
import { type BroadcastRoute, bindStatement, type Route, type RouteContext, spreadOf, wholeOf } from './route';
import { rowsToWrite, writesByPrimaryKey } from './two-phase';

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

/** Routes an UPDATE or DELETE. */
export async function routeWrite(plan: WritePlan, params: Params, context: RouteContext): Promise<Route> {
  const { placement, sql, format } = context;
  if (plan.keyUpdates.length > 0) await checkKeyUpdates(plan, params, context);
  const { placement: placed } = plan.table;
  const spread = await spreadOf(plan.reaches, params, placement);
  if (placed.kind === 'replicated') return routeFound(plan, placement.wholeCluster(), params, context);
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
  if (placed.kind === 'pinned') return routeFound(plan, [placed.shard], params, context);
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

/** Rows that are found, then written by primary key on each of the shards: the table is whole there. */
async function routeFound(
  plan: WritePlan,
  shards: readonly string[],
  params: Params,
  context: RouteContext,
): Promise<BroadcastRoute> {
  const { names, renamed } = wholeOf(plan, params, context.format);
  const step = plan.twoPhase as TwoPhaseStep;
  const found = bindStatement(step.find, params);
  const rows = rowsToWrite(await context.read(found), plan.tables, context.sql);
  const statements = writesByPrimaryKey(
    step,
    params,
    rows.map(({ row }) => row),
  );
  const same = plan.table.placement.kind === 'replicated';
  return { kind: 'broadcast', keys: [], all: false, shards, names, renamed, statements, same, ddl: false, found };
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
