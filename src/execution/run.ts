import { PartialWriteError, ShardKeyError, type ShardOutcome, ShardQueryError, SqlSyntaxError } from '../errors';
import { type Layout, TablesNeeded } from '../layout/layout';
import { hiddenColumns, mergeRows } from '../merge/merge-rows';
import { canonicalKey } from '../placement/key';
import type { Placement } from '../placement/placement';
import type { Plan } from '../plan/plan';
import { type GatherLimits, gather } from './gather';
import type { PlanCache } from './plan-cache';
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
import { type BoundStatement, emptyMeta, mergeMeta, type RowFormat, type ShardRows, type ShardSet } from './shard-set';

/** Everything that running statements needs, made once per configuration. */
export interface Cluster {
  readonly layout: Layout;
  readonly placement: Placement;
  readonly plans: PlanCache;
  readonly limits: GatherLimits;
  readonly crossShardBatch: 'refuse' | 'per-shard';
}

/** Runs statements over one set of shards: the databases themselves, or sessions of them. */
export class Executor {
  constructor(
    readonly cluster: Cluster,
    readonly shards: ShardSet,
  ) {}

  /** Plans a text, asking the first shard for tables that are not in the schema. */
  async plan(sql: string): Promise<Plan> {
    for (;;) {
      try {
        return this.cluster.plans.get(sql, this.cluster.layout);
      } catch (error) {
        if (!(error instanceof TablesNeeded)) throw error;
        await this.#ask(error.names, sql);
      }
    }
  }

  /** Asks the first shard what tables look like; plans that were made on a wrong assumption are forgotten. */
  async #ask(names: readonly string[], sql: string): Promise<void> {
    const { layout, placement, plans } = this.cluster;
    for (const name of names) {
      const changed = await this.shards.on(placement.shards[0] as string, names, sql, (client) =>
        layout.discover(name, client),
      );
      if (changed) plans.clear();
    }
  }

  /**
   * Plans a statement and decides which shards run what, with the values bound. Reads nothing, unless a write has to look
   * before it may run, or a table has to be asked for.
   */
  async prepare(statement: BoundStatement): Promise<{ plan: Plan; route: Route }> {
    const plan = await this.plan(statement.sql);
    const route = await this.route(plan, statement);
    if (route.kind === 'single' || plan.kind !== 'read') return { plan, route };
    const { layout } = this.cluster;
    const stale = plan.tables.filter((name) => !layout.isFresh(name));
    if (stale.length === 0) return { plan, route };
    await this.#ask(stale, statement.sql);
    const asked = await this.plan(statement.sql);
    return { plan: asked, route: await this.route(asked, statement) };
  }

  /** Decides which shards run what, with the values bound. */
  route(plan: Plan, { sql, params }: BoundStatement): Promise<Route> | Route {
    if (plan.kind === 'refused') throw plan.error();
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
        return this.shards.rows(route.shard, route.statement, format, tables);
      case 'scatter':
        return this.#scatter(route, format, tables);
      case 'gather':
        return gather(route, this.shards, this.cluster.limits, tables).then((finish) =>
          this.shards.rows(route.finishOn, finish, format, tables),
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
      this.shards.rows(shard, route.statement, format, tables),
    );
    return mergeScatter(route, results);
  }

  async #insert(route: InsertRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    return mergeInsert(route, await this.#write(route.parts, format, tables));
  }

  async #broadcast(route: BroadcastRoute, format: RowFormat, tables: readonly string[]): Promise<ShardRows> {
    const { statements } = route;
    const parts = route.shards.map((shard) => ({ shard, statements }));
    if (!route.same) return mergeBroadcast(route, await this.#write(parts, format, tables));
    // Where every shard does the same, what the first refuses (a constraint) nobody has written yet.
    const [first, ...others] = parts as [Part, ...Part[]];
    if (route.ddl) this.forget();
    try {
      const results = [await this.#send(first, format, tables)];
      if (others.length > 0) results.push(...(await this.#write(others, format, tables, first.shard)));
      return mergeBroadcast(route, results);
    } finally {
      if (route.ddl) this.forget();
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

  /** One statement keeps the row format that was asked for; several are one transaction, whose rows D1 gives as objects. */
  async #send({ shard, statements }: Part, format: RowFormat, tables: readonly string[]): Promise<ShardRows[]> {
    const [only, ...more] = statements as [BoundStatement, ...BoundStatement[]];
    if (more.length > 0) return this.shards.batch(shard, statements, tables);
    return [await this.shards.rows(shard, only, format, tables)];
  }

  #write(
    parts: readonly Part[],
    format: RowFormat,
    tables: readonly string[],
    applied?: string,
  ): Promise<ShardRows[][]> {
    return writeAll(this.shards, parts, tables, (part) => this.#send(part, format, tables), applied);
  }

  /** Forgets plans and shapes: a schema change may have made them untrue. */
  forget(): void {
    this.cluster.plans.clear();
    this.cluster.layout.forget();
  }
}

/** What one shard has to run of a write. */
interface Part {
  readonly shard: string;
  readonly statements: readonly BoundStatement[];
}

/**
 * Writes on several shards. All are waited for; when only some succeeded, it says which. `applied` names a shard that was
 * written before.
 */
export async function writeAll<T extends { readonly shard: string }>(
  shards: ShardSet,
  parts: readonly T[],
  tables: readonly string[],
  run: (part: T) => Promise<ShardRows[]>,
  applied?: string,
): Promise<ShardRows[][]> {
  const settled = await shards.forEach(parts, async (part) => {
    try {
      return { results: await run(part) };
    } catch (error) {
      return { error: error instanceof ShardQueryError ? error : new ShardQueryError(part.shard, error, { tables }) };
    }
  });
  const outcomes = settled.map((one, i): ShardOutcome => {
    const { shard } = parts[i] as T;
    return one.error ? { shard, error: one.error } : { shard, changes: changesOf(one.results) };
  });
  const failed = outcomes.find((outcome) => outcome.error);
  if (failed?.error) {
    if (applied === undefined && outcomes.every((outcome) => outcome.error)) throw failed.error;
    throw new PartialWriteError([...(applied === undefined ? [] : [{ shard: applied }]), ...outcomes], { tables });
  }
  return settled.flatMap((one) => (one.results ? [one.results] : []));
}

/** Rows as arrays come without a meta; what RETURNING gave was changed. */
const changesOf = (results: readonly ShardRows[]): number =>
  results.reduce((sum, { meta, rows }) => sum + Math.max(meta.changes, rows.length), 0);

export function mergeScatter(route: ScatterRoute, results: readonly ShardRows[]): ShardRows {
  const hidden = hiddenColumns(route.order);
  const columns = results.find((result) => result.columns.length > 0)?.columns ?? [];
  return {
    columns: hidden > 0 ? columns.slice(0, -hidden) : columns,
    rows: mergeRows(
      results.map((result) => result.rows),
      route.order,
      route.offset,
      route.limit,
    ),
    meta: mergeMeta(results.map((result) => result.meta)),
  };
}

/** Puts the rows of RETURNING back into the order of the VALUES. */
export function mergeInsert(route: InsertRoute, results: readonly (readonly ShardRows[])[]): ShardRows {
  const meta = mergeMeta(results.flat().map((result) => result.meta));
  if (!route.returning) return { columns: [], rows: [], meta };
  const columns = results.flat().find((result) => result.columns.length > 0)?.columns ?? [];
  const placed: { readonly at: number; readonly row: readonly unknown[] }[] = [];
  for (const [i, part] of route.parts.entries()) {
    const waiting = [...part.rows];
    for (const row of (results[i] ?? []).flatMap((result) => result.rows)) {
      // A conflict may have dropped rows: the next one with this row's key is it.
      const next = route.returnsKey ? waiting.findIndex((at) => route.keys[at] === String(row.at(-1))) : 0;
      const [at] = waiting.splice(Math.max(next, 0), 1);
      placed.push({ at: at ?? route.keys.length, row: route.returnsKey ? row.slice(0, -1) : row });
    }
  }
  placed.sort((a, b) => a.at - b.at);
  return {
    columns: route.returningNames ?? (route.returnsKey ? columns.slice(0, -1) : columns),
    rows: placed.map((one) => one.row),
    meta,
  };
}

/** A replicated table answers once, not once per shard. */
export function mergeBroadcast(route: BroadcastRoute, results: readonly (readonly ShardRows[])[]): ShardRows {
  return joinResults(route.same ? (results[0] ?? []) : results.flat());
}

function joinResults(results: readonly ShardRows[]): ShardRows {
  const columns = results.find((result) => result.columns.length > 0)?.columns ?? [];
  return {
    columns,
    rows: results.flatMap((result) => result.rows),
    meta: results.length > 0 ? mergeMeta(results.map((result) => result.meta)) : emptyMeta(),
  };
}
