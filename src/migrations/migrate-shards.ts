import type { ClusterApi } from '../cluster-api';
import type { ReadyCluster } from '../execution/cluster';
import { SchemaHold } from '../execution/schema-hold';
import { type MigrationBundle, readMigrations } from './bundle';
import { readyCluster } from './cluster-of';
import {
  heldRefusal,
  MigrationFailedError,
  MigrationRefusedError,
  type MigrationReport,
  MigrationStoppedError,
  type ShardMigration,
} from './errors';
import { type HashedFolder, withHashes } from './hashed';
import { isLedgerChanged, ledgerOf, type RunOnShard } from './ledger';
import { atATime, canaryFirst } from './options';
import { planShard, type ShardPlan } from './plan';
import { obstaclesOf, preflight } from './preflight';
import type { SchemaAfter } from './schema/expected';
import { inTurns, type Reading, readingOf, runOnShards, schemaShards } from './shards';
import { shardBatch } from './statements';

export interface MigrateOptions<TShard extends string = string> {
  /** Shards at a time, after the canary. Default 6: Workers open that many connections at once. */
  concurrency?: number;
  /** The shard that goes first, alone. Default: the first one. */
  canary?: NoInfer<TShard>;
  /** Only looks what each shard lacks; it also makes no cluster where there is none. */
  dryRun?: boolean;
  /**
   * Refuses to begin where a shard's schema is not the one that its migrations give: see {@link expectedSchema}, which tries
   * them on an empty database. Default: schemas are not looked at.
   */
  expected?: SchemaAfter;
  /** Told what each shard lacks, before the first one is changed, and waited for. When it throws, nothing was changed. */
  onPlan?: (report: MigrationReport<TShard>) => Promise<void> | void;
  /** Told of each shard when it is begun. */
  onBegin?: (shard: TShard) => void;
  /** Told of each shard when it is through. */
  onProgress?: (shard: ShardMigration<TShard>) => void;
  /** Once it is aborted no further shard is begun; those that are under way end, and others may migrate and move rows again. */
  signal?: AbortSignal;
}

/**
 * Brings every shard to the newest migration of drizzle-kit. All shards are looked at before the first one is changed; then
 * the canary gets what it lacks, then the others. What one shard lacks is one transaction, its ledger included, which is the
 * one of Drizzle's own `migrate()`. No rows are moved meanwhile, and of two runs at once one waits (at most `moveTimeout`).
 *
 * @example
 * import bundle from './drizzle/migrations';
 * const { shards } = await migrateShards(db, bundle);
 * @throws MigrationRefusedError before anything was changed; its `obstacles` say what is in the way on which shard.
 * @throws MigrationFailedError when a shard has refused a statement: it is as it was, and no further shard was begun. Its
 * `report` lists all; run it again to go on. MigrationStoppedError, which has one too, when the `signal` left shards untouched.
 * @throws ConfigError when the bundle cannot be read; MoveInProgressError when a move of rows does not end in time.
 */
export async function migrateShards<TShard extends string>(
  db: { readonly $cluster: ClusterApi<TShard> },
  bundle: MigrationBundle,
  options: MigrateOptions<TShard> = {},
): Promise<MigrationReport<TShard>> {
  const cluster = readyCluster(db, 'migrateShards');
  const { dryRun = false } = options;
  const concurrency = atATime(options.concurrency);
  const folder = await withHashes(readMigrations(bundle));
  const run = new Run<TShard>(cluster, folder, { ...options, concurrency });
  return dryRun ? run.look() : run.migrate();
}

class Run<TShard extends string> {
  readonly #run: RunOnShard;

  constructor(
    readonly cluster: ReadyCluster,
    readonly folder: HashedFolder,
    readonly options: MigrateOptions<TShard> & { readonly concurrency: number },
  ) {
    this.#run = runOnShards(cluster);
  }

  async look(): Promise<MigrationReport<TShard>> {
    const plans = await this.#plan(await readingOf(this.cluster));
    return { shards: plans.map((plan) => beginOf<TShard>(plan)) };
  }

  async migrate(): Promise<MigrationReport<TShard>> {
    const { resolver, moveTimeoutMs, planner } = this.cluster.executor.cluster;
    // First contact makes the cluster, and with it the catalog's tables.
    await schemaShards(this.cluster);
    const { signal } = this.options;
    const settings = { what: 'migration', patienceMs: moveTimeoutMs, refusal: heldRefusal, signal };
    try {
      return await SchemaHold.while(resolver.catalog, settings, async (hold) => {
        const names = await schemaShards(this.cluster);
        const plans = await this.#plan({ names, run: this.#run });
        if (!signal?.aborted) await this.options.onPlan?.({ shards: plans.map((plan) => beginOf<TShard>(plan)) });
        return this.#apply(plans, hold);
      });
    } finally {
      // Also when it failed: some shards may have changed.
      planner.forget();
    }
  }

  /** Reads all shards before the first one is changed. The canary comes first. */
  async #plan({ names, run }: Reading): Promise<readonly ShardPlan[]> {
    const order = canaryFirst(names, this.options.canary);
    const { layout } = this.cluster.executor.cluster.planner;
    const found = await preflight({ names: order, run }, this.folder, layout, this.options);
    const obstacles = obstaclesOf(found);
    if (obstacles.length > 0) {
      throw new MigrationRefusedError('The migrations were not begun, and nothing was changed:', obstacles);
    }
    return found.plans;
  }

  async #apply(plans: readonly ShardPlan[], hold: SchemaHold): Promise<MigrationReport<TShard>> {
    const { concurrency, onBegin, onProgress, signal } = this.options;
    const results = new Map(plans.map((plan) => [plan.shard, beginOf<TShard>(plan)]));
    const each = async (plan: ShardPlan) => {
      if (signal?.aborted) return false;
      onBegin?.(plan.shard as TShard);
      const result = { ...(results.get(plan.shard) as ShardMigration<TShard>), ...(await this.#applyTo(plan, hold)) };
      results.set(plan.shard, result);
      onProgress?.(result);
      return result.state !== 'failed';
    };
    const [canary, ...others] = plans.filter(({ pending }) => pending.length > 0);
    if (canary && (await each(canary))) await inTurns(others, concurrency, each);
    const report = { shards: [...results.values()] };
    if (report.shards.some(({ state }) => state === 'failed')) throw new MigrationFailedError(report);
    // Without a failure, only the signal leaves any.
    if (report.shards.some(({ state }) => state === 'untouched')) throw new MigrationStoppedError(report);
    return report;
  }

  async #applyTo(plan: ShardPlan, hold: SchemaHold): Promise<Partial<Omit<ShardMigration, 'shard'>>> {
    try {
      await hold.renew();
      await this.#run(plan.shard, shardBatch(this.folder, plan));
    } catch (error) {
      // The answer may have been lost, and the ledger is what tells.
      if (!(await this.#isApplied(plan))) {
        return { state: 'failed', error: isLedgerChanged(error) ? overtaken(plan.shard, error) : (error as Error) };
      }
    }
    return { state: 'done', applied: plan.pending.map(({ tag }) => tag), pending: [] };
  }

  async #isApplied({ shard }: ShardPlan): Promise<boolean> {
    try {
      const now = planShard(this.folder, shard, await ledgerOf(this.#run, shard));
      return now.pending.length === 0;
    } catch {
      // What it failed with first says more.
      return false;
    }
  }
}

const beginOf = <TShard extends string>({ shard, pending }: ShardPlan): ShardMigration<TShard> => ({
  shard: shard as TShard,
  state: pending.length > 0 ? 'untouched' : 'current',
  applied: [],
  pending: pending.map(({ tag }) => tag),
});

const overtaken = (shard: string, cause: unknown): Error =>
  new MigrationRefusedError(
    `Something else has migrated the shard ${shard} meanwhile. Nothing was changed there.`,
    [],
    {
      shard,
      cause,
    },
  );
