import { type AdoptionReport, type AdoptSettings, ClusterAdoption } from './adoption/cluster-adoption';
import type { ConflictRules } from './adoption/decide';
import type { AdoptionPlan } from './adoption/plan';
import type { ResolveReport } from './adoption/resolve';
import type { Move } from './catalog/journal';
import type { ReadyCluster } from './execution/cluster';
import { type ClusterStats, clusterStats } from './execution/stats';
import { DEFAULT_KEYSPACE } from './layout/placement-rules';
import type { MigrationBundle } from './migrations/bundle';
import { rememberCluster } from './migrations/cluster-of';
import { type SchemaVersion, schemaVersion } from './migrations/schema-version';
import { ClusterMoves } from './moves/cluster-moves';
import type { JobReport, JobSettings, RebalanceSettings } from './moves/job-settings';
import type { JobStatus } from './moves/job-status';
import type { VerifyReport } from './verify/finding';
import { type VerifySettings, verify } from './verify/verify';

/** A database of the cluster. */
export interface ShardStatus<TShard extends string = string> {
  name: TShard;
  /** `adding`: it may own nothing yet. `draining`: nothing new goes there. `retired`: empty, and never asked. */
  state: 'adding' | 'active' | 'draining' | 'retired';
  region?: string;
  weight: number;
  /** The share of all slots that it owns, from 0 to 1. A shard that was added owns none until slots are moved to it. */
  slotShare: number;
  /** The configuration has a database of this name. */
  bound: boolean;
}

/** Operations on the fleet of databases. */
export interface ClusterApi<TShard extends string = string> {
  /**
   * The databases of the cluster, in the order in which they were registered, with what the catalog says of each. Makes the
   * cluster on first contact.
   *
   * @throws ShardIdentityError when a binding is another database than its name says.
   */
  shards(): Promise<ShardStatus<TShard>[]>;
  /**
   * Rows and keys of the schema's tables on each shard, the size of each database, and its share of the slots. Reads every
   * row once: for a dashboard, not for each request.
   *
   * @throws ShardQueryError when a shard does not answer, or lacks a table.
   */
  stats(): Promise<ClusterStats>;
  /**
   * The last migration of Drizzle that each shard has applied, and whether all have applied the same ones.
   *
   * @param bundle Names the migrations of a ledger of Drizzle 0.45, which has only their times.
   * @example
   * const { same, shards } = await db.$cluster.schemaVersion();
   * @throws MissingShardError, ShardQueryError when a shard does not answer; ConfigError when the bundle cannot be read.
   */
  schemaVersion(bundle?: MigrationBundle): Promise<SchemaVersion<TShard>>;
  /**
   * Moves every row of a key, in all tables of its keyspace, to another shard while it is in use. Reads never wait; writes to
   * the key wait while its rows are copied. Without an error all rows are there; with one, all are where they were.
   *
   * @param keyspace Default `default`.
   * @example
   * await db.$cluster.reassign('user-123', 'db-west');
   * @throws MoveConflictError when a row there has the same value in a UNIQUE column; MoveRefusedError when it would not be
   * safe, with the reason; MoveInProgressError when another move of the key is under way.
   */
  reassign(key: string | number | bigint, to: TShard, keyspace?: string): Promise<JobStatus>;
  /** The same as {@link ClusterApi.reassign}. */
  reassignShard(key: string | number | bigint, to: TShard, keyspace?: string): Promise<JobStatus>;
  /**
   * Moves all keys of some slots that have no placement record to another shard, some thousand rows at a time.
   *
   * @param slots Both ends included, from 0 to 16383.
   * @throws MoveConflictError, MoveRefusedError, MoveInProgressError; the slots that were moved by then stay there.
   */
  moveSlots(
    slots: { lo: number; hi: number },
    to: TShard,
    settings?: JobSettings & { keyspace?: string },
  ): Promise<JobReport>;
  /**
   * Puts a database that was added to the configuration to use: registers it and copies the reference tables to it. It has no
   * slots then, until {@link ClusterApi.rebalance}. Undefined when it was in use already.
   *
   * @example
   * await db.$cluster.addShard('db-south');
   * console.log((await db.$cluster.rebalance({ dryRun: true })).plan.text);
   * await db.$cluster.rebalance();
   * @throws MoveRefusedError when its tables are not those of the others: run the migrations on it first.
   */
  addShard(name: TShard): Promise<JobStatus | undefined>;
  /**
   * Gives every shard its share, by weight, of the slots, and of the keys that live somewhere by a placement record, with the
   * least movement. It can be stopped at any time, and goes on where it was.
   *
   * @throws MoveConflictError, MoveRefusedError, MoveInProgressError; what was moved by then stays there.
   */
  rebalance(settings?: RebalanceSettings<TShard>): Promise<JobReport>;
  /**
   * Moves everything off a shard, which then leaves the cluster and can be taken out of the configuration.
   *
   * @throws MoveRefusedError for the shard that holds the catalog, or a table by the configuration.
   */
  drain(shard: TShard, settings?: JobSettings): Promise<JobReport>;
  /**
   * Looks at every row's shard key, and at what the shards and the catalog say of each other: rows on a shard that does not
   * own them, keys on two shards, reference tables that differ, moves that nobody is at work on. For a cron trigger or a
   * terminal, not for requests: it reads every key, and every row of the reference tables. Its `notes` are no faults: records of
   * keys without rows.
   *
   * @example
   * const { ok, text } = await db.$cluster.verify();
   * if (!ok) console.error(text);
   * @throws ShardQueryError when a shard does not answer.
   */
  verify(settings?: VerifySettings): Promise<VerifyReport>;
  /**
   * Scans databases that came with rows to the end: until then a key without a record is looked for in each of them. Goes on
   * where another one has stopped. Undefined when there is nothing to scan. The coordinator's alarm does the same by itself;
   * without one, call it in `ctx.waitUntil`, from a cron trigger, or a terminal.
   *
   * @example
   * ctx.waitUntil(db.$cluster.adopt());
   */
  adopt(settings?: AdoptSettings): Promise<JobStatus | undefined>;
  /** What is left to scan, and the keys that two databases came with. */
  adoption(): Promise<AdoptionReport>;
  /**
   * What the databases come with, before they are a cluster or after: rows, keys and ids that several have, tables without a
   * key, columns that differ. Changes nothing, nowhere. Reads every key of tables that several databases have rows of.
   *
   * @example
   * console.log((await db.$cluster.planAdoption()).text);
   */
  planAdoption(): Promise<AdoptionPlan>;
  /**
   * Says what becomes of rows whose key two databases came with, by table. Rows that do not stay are taken out of their table
   * and kept on their shard, in `_shard_set_aside`; or they get new ids. What the rules do not decide stays refused.
   *
   * @example
   * await db.$cluster.resolveConflicts({ users: { prefer: 'db-east' }, logs: 'renumber' });
   * @throws ConfigError for a table or a shard that is not there, and for new ids where a foreign key refers to the old ones.
   */
  resolveConflicts(rules: ConflictRules<TShard>): Promise<ResolveReport>;
  /** Moves that are open, and the last 20 that ended; the newest first. */
  moves(): Promise<readonly Move[]>;
  /** Jobs that are running or paused, and the last 20 that ended; the newest first. */
  jobs(): Promise<JobStatus[]>;
  /** Lets a job stop after the move that it is in. */
  pause(job: number): Promise<JobStatus>;
  /** Ends a job after the move that it is in. What was moved stays where it is; a shard that was being emptied is used again. */
  cancel(job: number): Promise<JobStatus>;
  /**
   * Goes on with a job that was paused; without a number, with all whose process has stopped in the midst. With a coordinator
   * its alarm does the latter within seconds; without one, call it from a cron trigger.
   *
   * @throws What a job was refused with; it is `failed` then.
   */
  resume(job?: number): Promise<JobStatus[]>;
}

export function clusterApi<TShard extends string>(cluster: ReadyCluster): ClusterApi<TShard> {
  const moves = new ClusterMoves(cluster);
  const { jobs } = moves;
  const reassign: ClusterApi<TShard>['reassign'] = (key, to, keyspace = DEFAULT_KEYSPACE) =>
    moves.reassign(key, to, keyspace);
  const api: ClusterApi<TShard> = {
    shards: () => shardsOf<TShard>(cluster),
    stats: () => clusterStats(cluster.executor),
    schemaVersion: (bundle) => schemaVersion<TShard>(cluster, bundle),
    reassign,
    reassignShard: reassign,
    moveSlots: (slots, to, { keyspace = DEFAULT_KEYSPACE, ...settings } = {}) =>
      moves.moveSlots(slots, to, keyspace, settings),
    addShard: (name) => moves.addShard(name),
    rebalance: (settings = {}) => moves.rebalance(settings),
    drain: (shard, settings = {}) => moves.drain(shard, settings),
    verify: async (settings = {}) => verify(await jobs.io(), cluster.moveSpec(), settings),
    adopt: (settings = {}) => new ClusterAdoption(cluster, jobs).adopt(settings),
    adoption: () => new ClusterAdoption(cluster, jobs).report(),
    planAdoption: () => new ClusterAdoption(cluster, jobs).plan(),
    resolveConflicts: (rules) => new ClusterAdoption(cluster, jobs).resolve(rules),
    moves: () => jobs.moves(),
    jobs: () => jobs.jobs(),
    pause: (job) => jobs.pause(job),
    cancel: (job) => jobs.cancel(job),
    resume: (job) => jobs.resume(job),
  };
  rememberCluster(api, cluster);
  return api;
}

async function shardsOf<TShard extends string>({ executor, databases }: ReadyCluster): Promise<ShardStatus<TShard>[]> {
  const { routing } = await executor.attempt(false);
  return routing.map.shards.map((shard) => ({
    ...shard,
    name: shard.name as TShard,
    slotShare: routing.shareOf(shard.name),
    bound: databases.has(shard.name),
  }));
}
