import { ShardQueryError, SqlSyntaxError } from '../errors';
import { TablesNeeded } from '../layout/layout';
import { Attempt } from '../placement/attempt';
import type { Demand, PlacedKey } from '../placement/guard';
import type { Point } from '../placement/regions';
import type { Resolver } from '../placement/resolver';
import type { Strategies } from '../placement/strategy-config';
import type { Plan } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import type { Telemetry } from '../telemetry/counters';
import { type Patience, untilAccepted } from './attempts';
import { askBalanced } from './balance';
import { queriesOf, tooManyQueries } from './budget';
import { claimerFor } from './claiming';
import type { StatementLimits } from './gather';
import { needKeys } from './need-keys';
import type { Numbers } from './numbers';
import type { Planner } from './planner';
import { probeSources } from './probe';
import { mergeScatter, named } from './results';
import type { Route, RouteContext, ScatterRoute, SingleRoute, Spread } from './route';
import { routeInsert } from './route-insert';
import { routeRead } from './route-read';
import { routeEvery, routeWrite } from './route-write';
import { runGather } from './run-gather';
import { type Answer, type RowFormat, rowsOf, type ShardRows, type ShardSet } from './shard-set';
import { guardedWrite } from './write';
import { runBroadcast, runInsert, runTwoPhase } from './write-routes';

/** Everything that running statements needs, made once per configuration. */
export interface Cluster {
  readonly resolver: Resolver;
  readonly strategies: Strategies;
  readonly numbers: Numbers;
  readonly telemetry: Telemetry;
  readonly planner: Planner;
  readonly limits: StatementLimits;
  readonly crossShardBatch: 'refuse' | 'per-shard';
  readonly rehearseWrites: boolean;
  readonly moveTimeoutMs: number;
}

/** How often ids are given to rows again after those that they got were taken. */
const MAX_NUMBERINGS = 3;

/** Runs statements over one set of shards: the databases themselves, or sessions of them. */
export class Executor {
  constructor(
    readonly cluster: Cluster,
    readonly shards: ShardSet,
    /** Where new keys of a `location` strategy shall be near to. */
    readonly near: Point | undefined,
    /** Told of a shard to which another one has sent us. */
    readonly onMoved: (shard: string) => void = () => {},
    /** Statements have to name their shard keys. */
    readonly confined = false,
  ) {}

  /** The same for statements that may ask all shards. */
  unconfined(): Executor {
    return this.confined ? new Executor(this.cluster, this.shards, this.near, this.onMoved) : this;
  }

  /** Throws what is refused for its text alone, before anything is asked. */
  checkText(sql: string): void {
    try {
      this.cluster.planner.plan(sql);
    } catch (error) {
      if (!(error instanceof TablesNeeded)) throw error;
    }
  }

  /** Runs something again with another placement as long as shards refuse; what they refuse has run nothing. */
  async accepted<T>(tables: readonly string[], run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const verify = (attempt: Attempt, keys: readonly PlacedKey[]) => this.#verify(attempt, keys, tables);
    const probe: Patience['probe'] = (attempt, keys, sources) => probeSources(this, attempt, keys, sources);
    const patience = { ...this.cluster, onMoved: this.onMoved, verify, probe };
    for (let tries = 1; ; tries++) {
      const attempt = await this.attempt(true);
      try {
        return await untilAccepted(attempt, patience, tables, run);
      } catch (error) {
        const taken = tries < MAX_NUMBERINGS ? this.#takenId(error, attempt.numbered) : undefined;
        if (taken === undefined) throw error;
        await this.cluster.numbers.raise(taken);
      }
    }
  }

  /** Asks shards whether they own keys. */
  #verify(attempt: Attempt, keys: readonly PlacedKey[], tables: readonly string[]): Promise<unknown> {
    const shards = [...new Set(keys.map(({ shard }) => shard))];
    return this.shards.askAll(shards, (shard) => {
      const own = keys.filter((key) => key.shard === shard);
      return this.shards.guarded(demandOf(attempt, shard, own, false), [], { tables, write: false });
    });
  }

  /** The table whose sequence gave an id that a row has already; nothing was written then. */
  #takenId(error: unknown, numbered: ReadonlySet<string>): string | undefined {
    if (!(error instanceof ShardQueryError)) return undefined;
    return [...numbered].find((name) => {
      const text = `UNIQUE constraint failed: ${name}.${this.cluster.planner.layout.find(name)?.rowidAlias}`;
      const at = error.message.indexOf(text);
      return at >= 0 && !/[\w,]/.test(error.message[at + text.length] ?? '');
    });
  }

  /** The placement as it is known now. Without `claims`, new keys are taken to stay on their home. */
  async attempt(claims: boolean): Promise<Attempt> {
    const { resolver, strategies } = this.cluster;
    const map = resolver.map();
    const claim = claims ? (keyspace: string) => claimerFor(this, keyspace) : () => undefined;
    const isBound = (shard: string) => this.shards.clients.has(shard);
    const looksUp = (keyspace: string) => resolver.store !== undefined && strategies.of(keyspace) !== 'hash';
    return new Attempt({ resolver, isBound, looksUp, claim }, map instanceof Promise ? await map : map);
  }

  /**
   * Plans a statement and decides which shards run what, with the values bound. Reads nothing, unless a write has to look
   * before it may run, a new key has to be claimed, or a table has to be asked for.
   */
  async prepare(statement: BoundStatement, attempt: Attempt, format: RowFormat): Promise<{ plan: Plan; route: Route }> {
    for (;;) {
      try {
        return await this.#prepare(statement, attempt, format);
      } catch (error) {
        // Each time another table is known, or the database says that there is none.
        if (!(error instanceof TablesNeeded)) throw error;
        await this.ask(error.names, statement.sql, attempt);
      }
    }
  }

  async #prepare(
    statement: BoundStatement,
    attempt: Attempt,
    format: RowFormat,
  ): Promise<{ plan: Plan; route: Route }> {
    const { planner } = this.cluster;
    const plan = planner.plan(statement.sql);
    const route = await this.route(plan, statement, attempt, format);
    if (route.kind === 'single' || plan.kind !== 'read') return { plan, route };
    // What is taken apart has to be known as the database has it.
    const stale = plan.tables.filter((name) => !planner.layout.isFresh(name));
    if (stale.length > 0) throw new TablesNeeded(stale);
    return { plan, route };
  }

  /** Asks the first shard what tables look like; plans that were made on a wrong assumption are forgotten. */
  async ask(names: readonly string[], sql: string, attempt: Attempt): Promise<void> {
    const { planner } = this.cluster;
    const first = attempt.shards[0] as string;
    for (const name of names) {
      const purpose = { tables: names, write: false };
      if (await this.shards.on(first, sql, purpose, (client) => planner.layout.discover(name, client))) planner.clear();
    }
  }

  /** Decides which shards run what, with the values bound. */
  route(plan: Plan, { sql, params }: BoundStatement, attempt: Attempt, format: RowFormat): Promise<Route> | Route {
    if (params.length !== plan.paramCount) {
      throw new SqlSyntaxError(`The statement takes ${plan.paramCount} values, and ${params.length} are bound.`, {
        sql,
        tables: plan.tables,
        remedy: 'Bind one value for each parameter.',
      });
    }
    if (this.confined) needKeys(plan, sql, params, this.cluster.planner.layout);
    const context: RouteContext = {
      placement: attempt,
      sql,
      format,
      limits: this.cluster.limits,
      nextIds: (table, count) => {
        attempt.numbered.add(table);
        return this.cluster.numbers.ids(table, count);
      },
      passOver: (table, id) => this.cluster.numbers.passOver(table, id),
      // What a statement needs besides is not what was asked.
      read: async (statement) => (await this.unconfined().rows(statement, 'arrays')).rows,
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
    this.checkText(statement.sql);
    return this.accepted([], async (attempt) => {
      const { plan, route } = await this.prepare(statement, attempt, format);
      return this.run(route, attempt, plan.tables);
    });
  }

  /** @throws QueryLimitError when these need more queries than allowed. */
  checkQueries(routes: readonly Route[], tables: readonly string[], used = 0): void {
    const { limits, rehearseWrites } = this.cluster;
    const queries = routes.reduce((sum, route) => sum + queriesOf(route, rehearseWrites), used);
    if (queries > limits.queries) throw tooManyQueries(queries, limits.queries, routes, tables);
  }

  async run(route: Route, attempt: Attempt, tables: readonly string[]): Promise<ShardRows> {
    if (route.kind !== 'single') this.checkQueries([route], tables);
    switch (route.kind) {
      case 'single':
        return named(route, rowsOf(await this.single(route, attempt, tables)));
      case 'scatter':
        return named(route, mergeScatter(route, await this.#scatter(route, attempt, tables)));
      case 'gather':
        return named(route, await runGather(this, route, attempt, tables));
      case 'insert':
        return named(route, await runInsert(this, route, attempt, tables));
      case 'broadcast':
        return named(route, await runBroadcast(this, route, attempt, tables));
      case 'two-phase':
        return named(route, await runTwoPhase(this, route, attempt, tables));
    }
  }

  /** @param used Queries that were made for it already, with another plan. */
  /** One shard runs the statement, behind its guard; D1's own result. */
  async single(route: SingleRoute, attempt: Attempt, tables: readonly string[]): Promise<D1Result> {
    const { shard, keys, all, write, statement } = route;
    const demand = { ...demandOf(attempt, shard, keys, write, all), once: attempt.name };
    const { statements, skip } = guardedWrite(demand, [statement]);
    const { results } = await this.shards.guarded(demand, statements, { tables, write });
    return results[skip] as D1Result;
  }

  async #scatter(route: ScatterRoute, attempt: Attempt, tables: readonly string[]): Promise<ShardRows[]> {
    const answers = await this.answers(route, attempt, tables);
    return answers.map(({ results }) => rowsOf(results[0] as D1Result));
  }

  /** What each shard of a scatter says, all of it at one state of ownership. */
  answers(route: ScatterRoute, attempt: Attempt, tables: readonly string[]): Promise<Answer[]> {
    const ask = (shard: string) => this.answer(route, shard, attempt, tables);
    return route.all
      ? askBalanced(this.shards, route.shards, attempt, tables, ask)
      : this.shards.askAll(route.shards, ask);
  }

  /** What one shard of a scatter says. */
  answer(route: ScatterRoute, shard: string, attempt: Attempt, tables: readonly string[]): Promise<Answer> {
    const demand = spreadDemand(attempt, shard, route, false);
    return this.shards.guarded(demand, [route.statement], { tables, write: false });
  }
}

/** What one shard must be and own. `all`: it alone answers for every key, so its digest must be that of the whole cluster. */
export function demandOf(
  { cluster, base }: Attempt,
  shard: string,
  own: readonly PlacedKey[],
  write: boolean,
  all = false,
): Demand {
  return { cluster, shard, own, absent: [], write, ...(all ? { digest: base } : {}) };
}

/**
 * What a shard must own, and must not, when the same statement with all its keys goes to several: while a key is landed on
 * one shard and not yet released by the other, both have its rows.
 */
export function spreadDemand(
  { cluster }: Attempt,
  shard: string,
  { keys }: Pick<Spread, 'keys'>,
  write: boolean,
): Demand {
  const own = keys.filter((key) => key.shard === shard);
  return {
    cluster,
    shard,
    own,
    absent: own.length < keys.length ? keys.filter((key) => key.shard !== shard) : [],
    write,
  };
}
