import type { ShardMap } from '../catalog/catalog';
import type { JobKind, JobStep } from '../catalog/journal';
import { ConfigError, MoveRefusedError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { clusterStats } from '../execution/stats';
import { canonicalKey } from '../placement/key';
import { SLOTS } from '../placement/slots';
import { type PlaceKey, placedBy } from '../placement/strategies';
import { Cargos } from './cargos';
import { planReferences } from './carry';
import { ClusterJobs } from './cluster-jobs';
import { countIndexes, countRecords, estimate } from './estimate';
import type { MoveIo } from './io';
import { type JobReport, type JobSettings, optionsOf, type RebalanceSettings } from './job-settings';
import type { JobStatus } from './job-status';
import { type PlannedMove, planDrain, planRebalance, type RecordCounts, stepsOf } from './plan';
import { planReplacement } from './replacement';

/** Operations that change where rows live. */
export class ClusterMoves {
  readonly jobs: ClusterJobs;

  constructor(readonly cluster: ReadyCluster) {
    this.jobs = new ClusterJobs(cluster);
  }

  async reassign(key: string | number | bigint, to: string, keyspace: string): Promise<JobStatus> {
    const canonical = canonicalKey(key, typeof key === 'string' ? 'text' : 'integer');
    if (typeof canonical !== 'string') {
      throw new ConfigError(`${String(key)} cannot be a shard key.`, { remedy: 'Give a text or a whole number.' });
    }
    const status = await this.jobs.start('reassign', [{ do: 'keys', keyspace, keys: [canonical], to }]);
    const { resolver } = this.cluster.executor.cluster;
    resolver.state.hints.set(keyspace, canonical, to);
    await resolver.store?.write(keyspace, canonical, to);
    return status;
  }

  async moveSlots(
    { lo, hi }: { lo: number; hi: number },
    to: string,
    keyspace: string,
    settings: JobSettings,
  ): Promise<JobReport> {
    if (!(Number.isInteger(lo) && Number.isInteger(hi) && 0 <= lo && lo <= hi && hi < SLOTS)) {
      throw new ConfigError(`${lo} to ${hi} are no slots.`, { remedy: `Give whole numbers from 0 to ${SLOTS - 1}.` });
    }
    const map = await this.#map();
    const moves = (map.keyspaces[keyspace]?.ranges ?? []).flatMap((one): PlannedMove[] => {
      const slots = { lo: Math.max(lo, one.lo), hi: Math.min(hi, one.hi) };
      return slots.lo > slots.hi || one.shard === to
        ? []
        : [{ keyspace, from: one.shard, to: [to], slots, records: 0 }];
    });
    return this.#planned('slots', map, moves, stepsOf(moves, true), settings);
  }

  async rebalance(settings: RebalanceSettings): Promise<JobReport> {
    const { shards, maxMoved = 1, strategy } = settings;
    const map = await this.#map();
    for (const name of shards ?? []) this.#known(map, name);
    if (!(maxMoved >= 0 && maxMoved <= 1)) {
      throw new ConfigError(`maxMoved is ${maxMoved}.`, { remedy: 'Write a share from 0 to 1.' });
    }
    const io = await this.jobs.io();
    if (strategy) return this.#replace(io, map, strategy, settings);
    const records = await countRecords(io, map);
    const moves = planRebalance(map, records, { maxMoved, ...(shards ? { shards } : {}) });
    return this.#planned('rebalance', map, moves, stepsOf(moves, true), settings, records);
  }

  async drain(shard: string, settings: JobSettings): Promise<JobReport> {
    const map = await this.#map();
    const state = this.#known(map, shard);
    const { databases, controlShard } = this.cluster;
    if (controlShard === shard) {
      throw new MoveRefusedError(`${shard} holds the catalog of the cluster.`, { shard });
    }
    if (state === 'retired') throw new MoveRefusedError(`${shard} has left the cluster already.`, { shard });
    const { layout } = this.cluster.executor.cluster.planner;
    const pinned = layout.declared().find(({ placement }) => placement.kind === 'pinned' && placement.shard === shard);
    if (pinned) {
      throw new MoveRefusedError(`The table ${pinned.name} is whole on ${shard} by the configuration.`, {
        tables: [pinned.name],
        shard,
      });
    }
    const others = map.shards.filter((one) => one.name !== shard && one.state === 'active' && databases.has(one.name));
    if (others.length === 0)
      throw new MoveRefusedError(`There is no other active shard to take the rows of ${shard}.`, { shard });
    const records = await countRecords(await this.jobs.io(), map);
    const moves = planDrain(map, records, shard);
    const steps: JobStep[] = [{ do: 'close', shard }, ...stepsOf(moves, false), { do: 'retire', shard }];
    return this.#planned('drain', map, moves, steps, settings, records);
  }

  /** Registers a new database, and copies the reference tables to it. */
  async addShard(name: string): Promise<JobStatus | undefined> {
    const { databases, executor } = this.cluster;
    if (!databases.has(name)) {
      throw new ConfigError(`The configuration has no database for shard ${name}.`, {
        remedy: 'Add it to `shards`, and its binding to wrangler.toml, then deploy.',
      });
    }
    const { map } = await executor.cluster.resolver.refresh();
    const state = this.#known(map, name);
    if (state === 'active') return undefined;
    if (state !== 'adding')
      throw new MoveRefusedError(`The shard ${name} is ${state}: give the new database another name.`, { shard: name });
    const io = await this.jobs.io();
    const first = map.shards.find((shard) => shard.state === 'active')?.name as string;
    const cargos = new Cargos(io, this.cluster.moveSpec());
    // What cannot be copied is told before anything is written.
    planReferences(this.cluster.moveSpec(), await cargos.schema(first), await cargos.schema(name));
    return this.jobs.start('add', [{ do: 'reference', to: name }]);
  }

  async #map(): Promise<ShardMap> {
    return (await this.cluster.executor.cluster.resolver.refresh()).map;
  }

  #known({ shards }: ShardMap, name: string): ShardMap['shards'][number]['state'] {
    const found = shards.find((shard) => shard.name === name);
    if (found) return found.state;
    throw new ConfigError(`There is no shard ${name}.`, {
      remedy: `Write one of: ${shards.map((shard) => shard.name).join(', ')}.`,
    });
  }

  /** Keys with records that a function wants elsewhere. */
  async #replace(io: MoveIo, map: ShardMap, strategy: PlaceKey, settings: RebalanceSettings): Promise<JobReport> {
    const { strategies } = this.cluster.executor.cluster;
    const candidates = map.shards
      .filter(({ state }) => state === 'active')
      .map((shard) => ({ ...shard, priority: strategies.locations[shard.name]?.priority ?? 1 }));
    const placeOf = (key: string) => placedBy(strategy, key, candidates);
    const { moves, steps } = await planReplacement(io, map, placeOf);
    return this.#planned('rebalance', map, moves, steps, settings);
  }

  async #planned(
    kind: JobKind,
    map: ShardMap,
    moves: readonly PlannedMove[],
    steps: readonly JobStep[],
    settings: JobSettings,
    known?: RecordCounts,
  ): Promise<JobReport> {
    const options = optionsOf(settings);
    const io = await this.jobs.io();
    const { executor } = this.cluster;
    const records = known ?? (await countRecords(io, map));
    const first = map.shards.find(({ state }) => state === 'active')?.name as string;
    const [stats, indexes] = await Promise.all([clusterStats(executor), countIndexes(io, first)]);
    const plan = estimate(moves, map, stats, executor.cluster.planner.layout.declared(), indexes, records);
    if (settings.dryRun || steps.length === 0) return { plan };
    const job = await this.jobs.start(kind, steps, settings, options, plan.rows);
    await executor.cluster.resolver.refresh();
    return { plan, job };
  }
}
