import { SCAN_OPTIONS, startAdoption } from '../adoption/job';
import { withAdoptions } from '../adoption/survey';
import type { Catalog, OpenRequest } from '../catalog/catalog';
import { coordinatorCatalog } from '../catalog/coordinator-client';
import { d1Catalog } from '../catalog/d1-catalog';
import { observedCatalog } from '../catalog/observed-catalog';
import type { QueryEvent, ShardedConfig } from '../config';
import { ConfigError } from '../errors';
import { Layout } from '../layout/layout';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import { type MoveSpec, specOf } from '../moves/spec';
import { enrolPending } from '../placement/enrol';
import type { Demand, GuardRow } from '../placement/guard';
import { HintStore } from '../placement/hint-store';
import { isolateState } from '../placement/isolate';
import type { Point } from '../placement/regions';
import { Resolver } from '../placement/resolver';
import { readStrategies, type Strategies } from '../placement/strategy-config';
import { Numbers } from './numbers';
import { Planner } from './planner';
import { withRetries } from './retry';
import { type Cluster, Executor } from './run';
import { schemaCheckOf } from './schema-check';
import { type SessionStart, ShardSessions } from './session';
import { ShardSet } from './shard-set';

/** A configuration, checked and ready to run. */
export interface ReadyCluster {
  readonly databases: ReadonlyMap<string, D1Database>;
  readonly executor: Executor;
  readonly onQuery: ((event: QueryEvent) => void) | undefined;
  /** The shard whose database holds the catalog; undefined where a coordinator does. */
  readonly controlShard: string | undefined;
  /** What the configuration says of the tables, for moves. */
  readonly moveSpec: () => MoveSpec;
  /** The same cluster for requests that come from somewhere. */
  readonly near: (point: Point | undefined) => ReadyCluster;
  /** The same cluster for statements that may ask all shards. */
  readonly scatter: () => ReadyCluster;
  /** The same cluster over sessions of its databases. */
  readonly session: (start: SessionStart) => { readonly executor: Executor; readonly sessions: ShardSessions };
}

/** @throws ConfigError for every mistake that shows without asking a database. */
export function createCluster(config: ShardedConfig): ReadyCluster {
  const layout = Layout.fromConfig(config);
  const names = layout.shards;
  const keyspaces = keyspacesOf(layout);
  const strategies = readStrategies(config, names, keyspaces);
  const concurrency = positive('concurrency', config.concurrency, 6);
  const limits = {
    queries: positive('limits.queries', config.limits?.queries, 900),
    rows: positive('limits.gatherRows', config.limits?.gatherRows, 250_000),
    bytes: positive('limits.gatherBytes', config.limits?.gatherBytes, 24 * 1024 * 1024),
  };
  const databases = new Map(Object.entries(config.shards));
  const clusterName = config.cluster ?? 'default';
  const anchor = config.coordinator ?? controlOf(config);
  const request = openRequest(config, layout, strategies, keyspaces);
  const state = isolateState(anchor, JSON.stringify([clusterName, request]));
  const { telemetry } = state;
  const catalog = observedCatalog(catalogOf(config, clusterName), telemetry, (run) => withRetries(false, run));
  const options = {
    concurrency,
    exactlyOnce: config.exactlyOnce ?? false,
    telemetry,
    verified: new Set<string>(),
    primaries: databases,
    noting: state.noting,
    schema: schemaCheckOf(config, (key, make) => state.remembered(key, make)),
    learn: (demand: Demand, row: GuardRow) => state.learn(demand, row),
  };
  const shards = new ShardSet(databases, options);
  const store = config.kv && new HintStore(checkKv(config.kv), clusterName, telemetry);
  const resolver = new Resolver({
    state,
    catalog,
    store,
    request,
    survey: (known, view) =>
      withAdoptions(
        known,
        view,
        specOf(layout, config.moveTriggers),
        config.adopt ?? 'auto',
        (shard, statements) => shards.rows(shard, statements),
        (names, ask) => shards.forEach(names, ask),
      ),
    adopt: (map) => startAdoption(catalog, map, specOf(layout, config.moveTriggers), SCAN_OPTIONS),
    enrol: (view) =>
      enrolPending(
        view,
        (shard) => databases.has(shard),
        (shard, statements) => shards.rows(shard, statements),
        (items, each) => shards.forEach(items, each),
        catalog,
      ),
  });
  const cluster: Cluster = {
    planner: state.remembered(planningKey(config), () => new Planner(layout)),
    resolver,
    strategies,
    numbers: new Numbers(state, catalog, () => new Executor(cluster, shards, undefined)),
    telemetry,
    limits,
    crossShardBatch: config.crossShardBatch ?? 'refuse',
    rehearseWrites: config.rehearseWrites ?? true,
    moveTimeoutMs: positive('moveTimeout', config.moveTimeout, 10_000),
  };
  const made = (point: Point | undefined, confined: boolean): ReadyCluster => ({
    databases,
    onQuery: config.onQuery,
    controlShard: config.coordinator ? undefined : (config.control ?? names[0]),
    moveSpec: () => specOf(layout, config.moveTriggers),
    executor: new Executor(cluster, shards, point, undefined, confined),
    near: (other) => made(other, confined),
    scatter: () => made(point, false),
    session: (start) => {
      const sessions = new ShardSessions(databases, start);
      const executor = new Executor(
        cluster,
        shards.over(sessions),
        point,
        (shard) => sessions.needsPrimary(shard),
        confined,
      );
      return { executor, sessions };
    },
  });
  return made(undefined, isExplicit(config));
}

function isExplicit({ scatter = 'allow' }: ShardedConfig): boolean {
  if (scatter === 'allow' || scatter === 'explicit') return scatter === 'explicit';
  throw new ConfigError(`scatter is ${JSON.stringify(scatter)}.`, { remedy: "Write 'explicit', or leave it out." });
}

/** What plans depend on, besides the databases. */
const planningKey = ({ schema, tables, casing }: ShardedConfig): unknown[] => [
  schema,
  JSON.stringify(tables ?? {}),
  casing,
];

function openRequest(
  config: ShardedConfig,
  layout: Layout,
  strategies: Strategies,
  keyspaces: readonly string[],
): OpenRequest {
  const weights = config.shardWeights ?? {};
  for (const name of Object.keys(weights)) {
    if (!layout.shards.includes(name)) {
      throw new ConfigError(`shardWeights['${name}'] is no shard.`, {
        remedy: `Write one of: ${layout.shards.join(', ')}.`,
      });
    }
  }
  return {
    shards: layout.shards.map((name) => {
      const region = strategies.locations[name]?.region;
      const weight = weights[name];
      return { name, ...(region === undefined ? {} : { region }), ...(weight === undefined ? {} : { weight }) };
    }),
    keyspaces: keyspaces.map((name) => ({ name, strategy: strategies.nameOf(name) })),
    referenceTables:
      layout.declared().some((table) => table.placement.kind === 'replicated') ||
      [...layout.rules.values()].some((rule) => rule.replicated),
  };
}

/** Every keyspace that a rule names, and the default one, which tables without a rule are in. */
function keyspacesOf(layout: Layout): string[] {
  const named = layout
    .declared()
    .flatMap(({ placement }) => (placement.kind === 'sharded' ? [placement.keyspace] : []));
  const ruled = [...layout.rules.values()].flatMap(({ keyspace }) => keyspace ?? []);
  return [...new Set([DEFAULT_KEYSPACE, ...named, ...ruled])];
}

function catalogOf(config: ShardedConfig, name: string): Catalog {
  const { coordinator } = config;
  if (!coordinator) return d1Catalog(controlOf(config));
  if (typeof coordinator.idFromName !== 'function') {
    throw new ConfigError('`coordinator` is no namespace of a Durable Object.', {
      remedy: 'Export ShardCoordinator from the Worker, bind it in wrangler.toml, and pass env.SHARD_COORDINATOR.',
    });
  }
  return coordinatorCatalog(coordinator, name);
}

function controlOf({ shards, control }: ShardedConfig): D1Database {
  const name = control ?? (Object.keys(shards)[0] as string);
  const database = shards[name];
  if (database) return database;
  throw new ConfigError(`control is '${name}', which is no shard.`, {
    remedy: `Write one of: ${Object.keys(shards).join(', ')}.`,
  });
}

function checkKv(kv: NonNullable<ShardedConfig['kv']>): NonNullable<ShardedConfig['kv']> {
  if (typeof kv.get === 'function' && typeof kv.put === 'function') return kv;
  throw new ConfigError('`kv` is no KV namespace.', { remedy: 'Is its binding in wrangler.toml? Pass env.KV.' });
}

function positive(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (Number.isInteger(value) && value > 0) return value;
  throw new ConfigError(`${name} is ${value}.`, {
    remedy: `Write a whole number above 0; the default is ${fallback}.`,
  });
}
