import type { ReadyCluster } from '../execution/cluster';
import { observe } from '../execution/observe';
import { named } from '../execution/results';
import { type SingleRoute, wholeOf } from '../execution/route';
import { demandOf } from '../execution/run';
import { emptyMeta, type ShardRows } from '../execution/shard-set';
import { ShardedStatement, toObjects } from '../execution/statement';
import { writePinned } from '../execution/write-routes';
import { TablesNeeded } from '../layout/layout';
import type { Attempt } from '../placement/attempt';
import type { PlacedKey } from '../placement/guard';
import { keysOf } from '../plan/key-set';
import type { Plan } from '../plan/plan';
import { keyChange } from '../plan/refusals';
import type { BoundStatement } from '../sql/bound';
import type { PreparedStatement } from './college';
import { type Fit, fitOf } from './statement-keys';

/** Runs a statement by its own keys where it names the key that it was given, and on the key's shard where it names none. */
export class KeyedStatement implements PreparedStatement, BoundStatement {
  constructor(
    readonly cluster: ReadyCluster,
    readonly key: string,
    readonly sql: string,
    readonly params: readonly unknown[] = [],
  ) {}

  bind(...values: readonly unknown[]): KeyedStatement {
    return new KeyedStatement(this.cluster, this.key, this.sql, values);
  }

  run<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    return this.all<T>();
  }

  async first<T = Record<string, unknown>>(): Promise<T | null> {
    return (await this.all<T>()).results[0] ?? null;
  }

  async all<T = Record<string, unknown>>(): Promise<D1Result<T>> {
    const { executor, onQuery } = this.cluster;
    executor.checkText(this.sql);
    const plan = await this.#plan();
    const fit = fitOf(plan, this.key, this.sql, this.params, executor.cluster.planner.layout);
    if (fit.kind === 'named') return new ShardedStatement(executor, onQuery, this.sql, this.params).all<T>();
    const rows = await observe(onQuery, [this], (routed) =>
      executor.accepted(plan.tables, async (attempt) => {
        const route = await this.#atOwner(plan, fit, attempt);
        routed(this, route);
        return this.#runAt(route, plan, attempt);
      }),
    );
    return { success: true, meta: { ...emptyMeta(), ...rows.meta }, results: toObjects(rows) as T[] };
  }

  async #plan(): Promise<Plan> {
    const { executor } = this.cluster;
    for (;;) {
      try {
        return executor.cluster.planner.plan(this.sql);
      } catch (error) {
        if (!(error instanceof TablesNeeded)) throw error;
        await executor.ask(error.names, this.sql, await executor.attempt(false));
      }
    }
  }

  async #atOwner(plan: Plan, fit: Fit & { kind: 'unnamed' }, attempt: Attempt): Promise<SingleRoute> {
    const [placed] = (await attempt.place(fit.keyspace, [fit.key])) as [PlacedKey];
    return {
      kind: 'single',
      shards: [placed.shard],
      keys: [placed],
      all: false,
      shard: placed.shard,
      ...wholeOf(plan, this.params, 'objects'),
      write: plan.kind !== 'read' && plan.kind !== 'every',
    };
  }

  async #runAt(route: SingleRoute, plan: Plan, attempt: Attempt): Promise<ShardRows> {
    const { executor } = this.cluster;
    if (!route.write || this.#writesItsKeyOnly(plan)) return executor.run(route, attempt, plan.tables);
    if ('keyUpdates' in plan && plan.keyUpdates.length > 0 && plan.table.placement.kind === 'sharded') {
      throw keyChange(plan.table.name, plan.table.placement.key, this.sql);
    }
    // It may write rows of any key of this shard, so no move may be under way there.
    const { shard, keys, statement } = route;
    const part = { demand: demandOf(attempt, shard, [], false), statements: [statement] };
    const demandAt = () => demandOf(attempt, shard, keys, true);
    const [results] = await writePinned(executor, attempt, { parts: [part], demandAt, all: false }, plan.tables);
    return named(route, results?.[0] as ShardRows);
  }

  #writesItsKeyOnly(plan: Plan): boolean {
    if (plan.kind !== 'update' && plan.kind !== 'delete') return false;
    return (
      plan.target?.kind === 'keys' && keysOf(plan.target.keys, this.params) !== 'all' && plan.keyUpdates.length === 0
    );
  }
}
