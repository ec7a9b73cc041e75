import type { ClusterApi } from '../../cluster-api';
import { ConfigError } from '../../errors';
import type { ReadyCluster } from '../../execution/cluster';
import { SchemaHold } from '../../execution/schema-hold';
import { readyCluster } from '../../migrations/cluster-of';
import { heldRefusal } from '../../migrations/errors';
import type { RunOnShard } from '../../migrations/ledger';
import { atATime, canaryFirst } from '../../migrations/options';
import { inTurns, runOnShards, schemaShards } from '../../migrations/shards';
import { SCHEMA_TEXT } from '../../moves/schema';
import { raise } from '../../placement/guard';
import type { BoundStatement } from '../../sql/bound';
import { quoteName } from '../../sql/tokens';
import { type PushedShard, PushFailedError, PushRefusedError, type PushReport, refusalOf } from './errors';
import { groupByStatements } from './group';
import { type PushPlan, planShard, type ShardPush } from './plan-push';

export interface ApplyPushOptions<TShard extends string = string> {
  /**
   * The databases as a cluster: each is changed behind the guard of its identity, and no rows are moved meanwhile. Needed when
   * they are one; makes it on first contact.
   */
  readonly db?: { readonly $cluster: ClusterApi<TShard> };
  /** The databases by name, where they are no cluster. */
  readonly shards?: Readonly<Record<TShard, D1Database>>;
  /** Also what loses data. */
  readonly force?: boolean;
  /** Shards at a time, after the canary. Default 6. */
  readonly concurrency?: number;
  /** The shard that goes first, alone. Default: the first one. */
  readonly canary?: NoInfer<TShard>;
  /** Told of each shard when it is through. */
  readonly onProgress?: (shard: PushedShard<TShard>) => void;
}

/**
 * Applies a plan: one transaction on each shard, the canary first, then the others, until one fails. A shard whose schema has
 * changed since it was planned refuses.
 *
 * @example
 * const plan = await planPush({ shards, schema, scratch });
 * await applyPush(plan, { db });
 * @throws PushRefusedError before anything was changed, when data would be lost without `force`, it cannot be done, or a schema
 * was changed since it was planned; ShardIdentityError when a binding is another database than its name says.
 * @throws PushFailedError when a shard has refused a statement: it is as it was, and no further one was begun.
 * @throws ConfigError when the plan lacks a shard of the cluster; MoveInProgressError when a move of rows does not end in time.
 */
export async function applyPush<TShard extends string>(
  plan: PushPlan<TShard>,
  options: ApplyPushOptions<TShard>,
): Promise<PushReport<TShard>> {
  const refusal =
    refusalOf(plan.shards, 'obstacles') ?? (options.force ? undefined : refusalOf(plan.shards, 'dataLoss'));
  if (refusal) throw refusal;
  const { db, shards } = options;
  if (db) return onCluster(readyCluster(db, 'applyPush'), plan, options);
  if (!shards) throw new ConfigError('applyPush needs `db`, or `shards` where there is no cluster.');
  const run: RunOnShard = async (shard, statements) => {
    const d1 = shards[shard as TShard];
    const results = await d1.batch<Record<string, unknown>>(
      statements.map(({ sql, params }) => (params.length > 0 ? d1.prepare(sql).bind(...params) : d1.prepare(sql))),
    );
    return results.map((result) => result.results);
  };
  return pushAll(plan, options, run, async () => {});
}

async function onCluster<TShard extends string>(
  cluster: ReadyCluster,
  plan: PushPlan<TShard>,
  options: ApplyPushOptions<TShard>,
): Promise<PushReport<TShard>> {
  const names = await schemaShards(cluster);
  const planned = new Set<string>(plan.shards.map(({ shard }) => shard));
  const lacking = names.find((name) => !planned.has(name));
  if (lacking !== undefined) {
    throw new ConfigError(`The plan lacks the shard ${lacking}, which would be left behind.`, {
      remedy: 'Plan for all shards of the cluster.',
    });
  }
  const { resolver, moveTimeoutMs, planner } = cluster.executor.cluster;
  const settings = { what: 'push', patienceMs: moveTimeoutMs, refusal: heldRefusal };
  try {
    return await SchemaHold.while(resolver.catalog, settings, (hold) =>
      pushAll(plan, options, runOnShards(cluster), () => hold.renew()),
    );
  } finally {
    // Also when it failed: some shards may have changed.
    planner.forget();
  }
}

async function pushAll<TShard extends string>(
  pushed: PushPlan<TShard>,
  { canary, concurrency, onProgress }: ApplyPushOptions<TShard>,
  run: RunOnShard,
  renew: () => Promise<void>,
): Promise<PushReport<TShard>> {
  const { shards } = pushed;
  const order = canaryFirst(
    shards.map(({ shard }) => shard),
    canary,
  );
  const byName = new Map<string, ShardPush<TShard>>(shards.map((plan) => [plan.shard, plan]));
  const plans = order.flatMap((name) => byName.get(name) ?? []);
  const results = new Map(plans.map((plan) => [plan.shard, beginOf(plan)]));
  const each = async (plan: ShardPush<TShard>) => {
    const error = await applyTo(plan);
    const result: PushedShard<TShard> = {
      ...beginOf(plan),
      ...(error ? { state: 'failed', error } : { state: 'done' }),
    };
    results.set(plan.shard, result);
    onProgress?.(result);
    return !error;
  };
  const applyTo = async (plan: ShardPush<TShard>): Promise<Error | undefined> => {
    try {
      await renew();
      await run(plan.shard, [...isStill(plan), ...plan.statements.map((sql) => ({ sql, params: [] }))]);
      return undefined;
    } catch (error) {
      // The answer may have been lost, and the schema is what tells.
      return (await hasIt(plan.shard)) ? undefined : (overtaken(plan, error) ?? (error as Error));
    }
  };
  const hasIt = async (shard: string): Promise<boolean> => {
    try {
      const { statements } = await planShard((reads) => run(shard, reads), pushed);
      return statements.length === 0;
    } catch {
      // What it failed with first says more.
      return false;
    }
  };
  // All of them before the first one is changed: each has to be the database that was planned for.
  await inTurns(plans, atATime(concurrency), (plan) => isAsPlanned(plan, run));
  const [first, ...others] = plans.filter(({ statements }) => statements.length > 0);
  if (first && (await each(first))) await inTurns(others, atATime(concurrency), each);
  const report = { shards: [...results.values()] };
  if (report.shards.some(({ state }) => state === 'failed')) throw new PushFailedError(report);
  return report;
}

async function isAsPlanned(plan: ShardPush, run: RunOnShard): Promise<true> {
  try {
    await run(plan.shard, isStill(plan));
    return true;
  } catch (error) {
    throw overtaken(plan, error) ?? error;
  }
}

/** The refusal, where a shard is no longer what was planned for. */
function overtaken(plan: ShardPush, error: unknown): PushRefusedError | undefined {
  const said = error instanceof Error ? error.message : '';
  const { shard } = plan;
  const message = said.includes(CHANGED)
    ? `The schema of ${shard} was changed after the push was planned. Nothing was pushed there.`
    : said.includes(FILLED)
      ? `Rows that would be lost were written to ${shard} after the push was planned. Nothing was pushed there.`
      : undefined;
  const details = { remedy: 'Plan again.', shard, cause: error };
  return message === undefined ? undefined : new PushRefusedError(message, groupByStatements([plan]), details);
}

const CHANGED = 'SCHEMA_CHANGED';
const FILLED = 'ROWS_WRITTEN';

const beginOf = <TShard extends string>({ shard, statements }: ShardPush<TShard>): PushedShard<TShard> => ({
  shard,
  state: statements.length > 0 ? 'untouched' : 'current',
  statements,
});

/**
 * Fails, and rolls its batch back, unless the schema is the one that was planned for, so that a batch cannot apply twice, and
 * tables are as empty as it was planned for.
 */
const isStill = ({ text, empty }: Pick<ShardPush, 'text' | 'empty'>): BoundStatement[] => [
  { sql: `select case when ${SCHEMA_TEXT} is not ?1 then ${raise(`'${CHANGED}'`)} end as unchanged`, params: [text] },
  ...empty.map((table) => ({
    sql: `select case when exists (select 1 from ${quoteName(table)}) then ${raise(`'${FILLED}'`)} end as unchanged`,
    params: [],
  })),
];
