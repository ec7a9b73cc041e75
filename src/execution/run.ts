import { ShardKeyError, SqlSyntaxError } from '../errors';
import { type Layout, TablesNeeded } from '../layout/layout';
import { canonicalKey } from '../placement/key';
import type { Placement } from '../placement/placement';
import type { Plan } from '../plan/plan';
import { type GatherLimits, gather } from './gather';
import type { PlanCache } from './plan-cache';
import { joinResults, mergeBroadcast, mergeInsert, mergeScatter } from './results';
import {
  type BroadcastRoute,
  type InsertRoute,
  type Route,
  type RouteContext,
  routeRead,
  type ScatterRoute,
  type TwoPhaseRoute,
} from './route';
import { routeEvery, routeInsert, routeWrite, writesByPrimaryKey } from './route-write';
import type { BoundStatement, RowFormat, ShardRows, ShardSet } from './shard-set';
import { type Part, writeParts } from './write';

/** Everything that running statements needs, made once per configuration. */
export interface Cluster {
  readonly layout: Layout;
  readonly placement: Placement;
  readonly plans: PlanCache;
  readonly limits: GatherLimits;
  readonly crossShardBatch: 'refuse' | 'per-shard';
  readonly rehearseWrites: boolean;
}

/** Runs statements over one set of shards: the databases themselves, or sessions of them. */
export class Executor {
  constructor(
    readonly cluster: Cluster,
    readonly shards: ShardSet,
  ) {}

  /**
   * Plans a statement and decides which shards run what, with the values bound. Reads nothing, unless a write has to look
   * before it may run, or a table has to be asked for.
   */
  async prepare(statement: BoundStatement): Promise<{ plan: Plan; route: Route }> {
    for (;;) {
      try {
        return await this.#prepare(statement);
      } catch (error) {
        // Each time another table is known, or the database says that there is none.
        if (!(error instanceof TablesNeeded)) throw error;
        await this.#ask(error.names, statement.sql);
      }
    }
  }

  async #prepare(statement: BoundStatement): Promise<{ plan: Plan; route: Route }> {
    const { plans, layout } = this.cluster;
    const plan = plans.get(statement.sql, layout);
    const route = await this.route(plan, statement);
    if (route.kind === 'single' || plan.kind !== 'read') return { plan, route };
    // What is taken apart has to be known as the database has it.
    const stale = plan.tables.filter((name) => !layout.isFresh(name));
    if (stale.length > 0) throw new TablesNeeded(stale);
    return { plan, route };
  }

  /** Asks the first shard what tables look like; plans that were made on a wrong assumption are forgotten. */
  async #ask(names: readonly string[], sql: string): Promise<void> {
    const { layout, placement, plans } = this.cluster;
    const first = placement.shards[0] as string;
    for (const name of names) {
      const purpose = { tables: names, write: false };
      if (await this.shards.on(first, sql, purpose, (client) => layout.discover(name, client))) plans.clear();
    }
  }

  /** Decides which shards run what, with the values bound. */
  route(plan: Plan, { sql, params }: BoundStatement): Promise<Route> | Route {
    if (params.length !== plan.paramCount) {
      throw new SqlSyntaxError(`The statement takes ${plan.paramCount} values, and ${params.length} are bound.`, {
        sql,
        tables: plan.tables,
        remedy: 'Bind one value for each parameter.',
      });
    }
    const context: RouteContext = {
      placement: this.cluster.placement,
      sql,
      read: async (statement) => (await this.rows(statement, 'arrays')).rows,
    };
    switch (plan.kind) {
      case 'read':
        return routeRead(plan, params, context);
      case 'insert':
        return routeInsert(plan, params, context);
      case 'update':
      case 'delete':
        return routeWrite(plan, params, context);
      case 'every':
        return routeEvery(plan, params, context);
    }
  }

  /** Plans, routes, runs and merges. */
  async rows(statement: BoundStatement, format: RowFormat): Promise<ShardRows> {
    const { plan, route } = await this.prepare(statement);
    return this.run(route, format, plan.tables);
  }

  run(route: Route, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    switch (route.kind) {
      case 'single':
        return this.shards.rows(route.shard, route.statement, format, { tables, write: route.write });
      case 'scatter':
        return this.#scatter(route, format, tables);
      case 'gather':
        return gather(route, this.shards, this.cluster.limits, tables).then((finish) =>
          this.shards.rows(route.finishOn, finish, format, { tables, write: false }),
        );
      case 'insert':
        return this.#insert(route, format, tables);
      case 'broadcast':
        return this.#broadcast(route, format, tables);
      case 'two-phase':
        return this.#twoPhase(route, format, tables);
    }
  }

  async #scatter(route: ScatterRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    const results = await this.shards.forEach(route.shards, (shard) =>
      this.shards.rows(shard, route.statement, format, { tables, write: false }),
    );
    return mergeScatter(route, results);
  }

  async #insert(route: InsertRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    return mergeInsert(route, await this.#write(route.parts, format, tables));
  }

  async #broadcast(route: BroadcastRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    const { statements, same, ddl } = route;
    const parts = route.shards.map((shard) => ({ shard, statements }));
    const rehearse = this.cluster.rehearseWrites && !ddl;
    if (ddl) this.forget();
    try {
      const options = { format, tables, rehearse, firstAlone: same };
      return mergeBroadcast(route, await writeParts(this.shards, parts, options));
    } finally {
      if (ddl) this.forget();
    }
  }

  async #twoPhase(route: TwoPhaseRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    const { step, key, keyspace } = route;
    const { rows } = await this.rows(route.find, 'arrays');
    const groups = new Map<string, string[]>();
    for (const [value, incomplete, row] of rows) {
      const canonical = canonicalKey(value, key.affinity);
      if (typeof canonical !== 'string' || incomplete === 1) {
        throw new ShardKeyError(
          `A row that the statement would write has a null in its shard key or primary key: ${row}.`,
          {
            tables,
            remedy: 'Write it on its own shard: db.$shard(name).',
          },
        );
      }
      const owner = await this.cluster.placement.ownerOf(keyspace, canonical);
      const list = groups.get(owner);
      if (list) list.push(String(row));
      else groups.set(owner, [String(row)]);
    }
    const parts = [...groups].map(([shard, keys]) => ({
      shard,
      statements: writesByPrimaryKey(step, route.params, keys),
    }));
    return joinResults((await this.#write(parts, format, tables)).flat());
  }

  #write(parts: readonly Part[], format: RowFormat, tables: readonly string[]): Promise<ShardRows[][]> {
    const rehearse = this.cluster.rehearseWrites;
    return writeParts(this.shards, parts, { format, tables, rehearse, firstAlone: false });
  }

  /** Forgets plans and shapes: a schema change may have made them untrue. */
  forget(): void {
    this.cluster.plans.clear();
    this.cluster.layout.forget();
  }
}
