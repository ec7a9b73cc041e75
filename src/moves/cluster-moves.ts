import type { ShardMap } from '../catalog/catalog';
import type { Job, JobKind, JobOptions, JobStep, Move } from '../catalog/journal';
import { ConfigError, MoveRefusedError } from '../errors';
import type { ReadyCluster } from '../execution/cluster';
import { redoStale } from '../execution/redo';
import { clusterStats } from '../execution/stats';
import { canonicalKey } from '../placement/key';
import { SLOTS, slotOf } from '../placement/slots';
import { type PlaceKey, placedBy } from '../placement/strategies';
import { bound, sql } from '../sql/tag';
import { publish } from '../telemetry/channels';
import { Cargos } from './cargos';
import { planReferences } from './carry';
import { reopenShard } from './drain';
import { countIndexes, countRecords, estimate, type MovePlan } from './estimate';
import { type MoveIo, runOn } from './io';
import { type JobStatus, statusOf } from './job-status';
import { Mover } from './mover';
import { Pace } from './pace';
import { type PlannedMove, planDrain, planRebalance, type RecordCounts, stepsOf } from './plan';
import { runJob } from './runner';
import { readSpec } from './spec';

/** How a job is run. */
export interface JobSettings {
  /** Rows in one move at most, which are frozen together; it begins with fewer. Default 1,000. */
  rowsPerMove?: number;
  /** At most. Default 50,000. Less is moved while a shard is slow. */
  rowsPerSecond?: number;
  /** A move that would keep writers waiting for longer, in milliseconds, is given up before it lands. Default 10,000. */
  frozenMs?: number;
  /** Only plan: nothing is changed. */
  dryRun?: boolean;
  /** Return when the job is journaled; the coordinator runs it. */
  background?: boolean;
  /** Told after each move. */
  onProgress?: (status: JobStatus) => void;
}

export interface RebalanceSettings<TShard extends string = string> extends JobSettings {
  /** The shards that take part. Default: all that are active. */
  shards?: readonly TShard[];
  /** The largest share of all slots that may move, from 0 to 1. Default 1. */
  maxMoved?: number;
  /** Where each key with a placement record should live: what is elsewhere is moved there, and nothing else. */
  strategy?: PlaceKey;
}

/** What was planned, and what came of it; without `job` it was a dry run, or there was nothing to do. */
export interface JobReport {
  readonly plan: MovePlan;
  readonly job?: JobStatus;
}

const DEFAULTS: JobOptions = { rowsPerMove: 1000, rowsPerSecond: 50_000, frozenMs: 10_000 };
/** A job's steps are one value of the catalog. */
const MAX_KEYS = 20_000;

/** Operations that change where rows live. */
export class ClusterMoves {
  constructor(readonly cluster: ReadyCluster) {}

  async io(): Promise<MoveIo> {
    const { executor, databases } = this.cluster;
    const { map } = (await executor.attempt(false)).routing;
    const pace = new Pace();
    return {
      cluster: map.cluster,
      catalog: executor.cluster.resolver.catalog,
      pace,
      run: runOn(databases, pace),
      onStep: (event) => publish('move', () => event),
    };
  }

  async reassign(key: string | number | bigint, to: string, keyspace: string): Promise<JobStatus> {
    const canonical = canonicalKey(key, typeof key === 'string' ? 'text' : 'integer');
    if (typeof canonical !== 'string') {
      throw new ConfigError(`${String(key)} cannot be a shard key.`, { remedy: 'Give a text or a whole number.' });
    }
    const status = await this.#run('reassign', [{ do: 'keys', keyspace, keys: [canonical], to }]);
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
    const io = await this.io();
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
    const records = await countRecords(await this.io(), map);
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
    const io = await this.io();
    const first = map.shards.find((shard) => shard.state === 'active')?.name as string;
    const cargos = new Cargos(io, this.cluster.moveSpec());
    // What cannot be copied is told before anything is written.
    planReferences(this.cluster.moveSpec(), await cargos.schema(first), await cargos.schema(name));
    return this.#run('add', [{ do: 'reference', to: name }]);
  }

  async moves(): Promise<readonly Move[]> {
    return (await this.io()).catalog.moves(20);
  }

  async jobs(): Promise<JobStatus[]> {
    return (await (await this.io()).catalog.jobs(20)).map((job) => statusOf(job));
  }

  /** A move that has begun ends; the next one does not begin. */
  async pause(id: number): Promise<JobStatus> {
    return this.#changed(id, 'paused');
  }

  async cancel(id: number): Promise<JobStatus> {
    const io = await this.io();
    const status = await this.#changed(id, 'cancelled');
    const job = (await io.catalog.job(id)) as Job;
    for (const step of job.steps) {
      if (step.do === 'close' && job.state === 'cancelled') await reopenShard(io, step.shard);
    }
    return status;
  }

  /** Goes on with one job, or with all whose driver has stopped; ends the moves that they have left. */
  async resume(id?: number, onProgress?: JobSettings['onProgress']): Promise<JobStatus[]> {
    const io = await this.io();
    if (id !== undefined) {
      await io.catalog.advanceJob(id, { state: 'running' });
      return [await this.#drive(io, id, onProgress)];
    }
    await redoStale(io);
    const results: JobStatus[] = [];
    const now = Date.now();
    for (const job of await io.catalog.jobs(0)) {
      if (job.state === 'running' && job.leasedUntil <= now) results.push(await this.#drive(io, job.id, undefined));
    }
    for (const move of await io.catalog.moves(0)) {
      const job = await io.catalog.job(move.job);
      if (job && job.state !== 'running' && job.leasedUntil <= now)
        await new Mover(io, readSpec(job.spec), job.options.frozenMs).resume(move.id);
    }
    return results;
  }

  async #changed(id: number, state: 'paused' | 'cancelled'): Promise<JobStatus> {
    const job = await (await this.io()).catalog.advanceJob(id, { state });
    if (!job) throw new ConfigError(`There is no job ${id}.`, { remedy: 'db.$cluster.jobs() lists them.' });
    return statusOf(job);
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
    const wanted = new Map<string, { keyspace: string; to: string; keys: string[]; from: Map<string, number> }>();
    let total = 0;
    for (const [keyspace, { ranges }] of Object.entries(map.keyspaces)) {
      for (const { lo, hi, shard } of ranges) {
        const [rows = []] = await io.run(shard, [
          bound(sql`select key, at from _shard_keys where keyspace = ${keyspace} and slot between ${lo} and ${hi}`),
        ]);
        for (const row of rows) {
          const to = placedBy(strategy, String(row.key), candidates);
          if (to === row.at || total === MAX_KEYS) continue;
          total++;
          const id = JSON.stringify([keyspace, to]);
          const list = wanted.get(id) ?? { keyspace, to, keys: [] as string[], from: new Map<string, number>() };
          list.keys.push(String(row.key));
          list.from.set(String(row.at), (list.from.get(String(row.at)) ?? 0) + 1);
          wanted.set(id, list);
        }
      }
    }
    const lists = [...wanted.values()];
    const moves = lists.flatMap(({ keyspace, to, from }) =>
      [...from].map(
        ([shard, records]): PlannedMove => ({ keyspace, from: shard, to: [to], slots: undefined, records }),
      ),
    );
    const steps = lists.map(({ keyspace, to, keys }): JobStep => {
      const sorted = [...keys].sort((a, b) => slotOf(a) - slotOf(b));
      return { do: 'keys', keyspace, keys: sorted, to };
    });
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
    const io = await this.io();
    const { executor } = this.cluster;
    const records = known ?? (await countRecords(io, map));
    const first = map.shards.find(({ state }) => state === 'active')?.name as string;
    const [stats, indexes] = await Promise.all([clusterStats(executor), countIndexes(io, first)]);
    const plan = estimate(moves, map, stats, executor.cluster.planner.layout.declared(), indexes, records);
    if (settings.dryRun || steps.length === 0) return { plan };
    const job = await this.#run(kind, steps, settings, options, plan.rows);
    await executor.cluster.resolver.refresh();
    return { plan, job };
  }

  async #run(
    kind: JobKind,
    steps: readonly JobStep[],
    settings: JobSettings = {},
    options: JobOptions = DEFAULTS,
    totalRows = 0,
  ): Promise<JobStatus> {
    if (settings.background && this.cluster.controlShard !== undefined) {
      throw new ConfigError('A job can only run in the background of a coordinator, and the configuration has none.', {
        remedy: 'Leave `background` out, or pass `coordinator: env.SHARD_COORDINATOR`.',
      });
    }
    const io = await this.io();
    const request = crypto.randomUUID();
    const spec = JSON.stringify(this.cluster.moveSpec());
    const job = await io.catalog.startJob({ request, kind, spec, steps, options, totalRows });
    if (settings.background) return statusOf(job);
    return this.#drive(io, job.id, settings.onProgress);
  }

  async #drive(io: MoveIo, id: number, onProgress: JobSettings['onProgress']): Promise<JobStatus> {
    const { moveTimeoutMs } = this.cluster.executor.cluster;
    const job = await runJob(io, id, {
      driver: crypto.randomUUID(),
      patienceMs: moveTimeoutMs,
      ...(onProgress ? { onProgress: (done: Job) => onProgress(statusOf(done)) } : {}),
    });
    return statusOf(job);
  }
}

function optionsOf({ rowsPerMove, rowsPerSecond, frozenMs }: JobSettings): JobOptions {
  const options = {
    rowsPerMove: rowsPerMove ?? DEFAULTS.rowsPerMove,
    rowsPerSecond: rowsPerSecond ?? DEFAULTS.rowsPerSecond,
    frozenMs: frozenMs ?? DEFAULTS.frozenMs,
  };
  for (const [name, value] of Object.entries(options)) {
    if (!(Number.isInteger(value) && value > 0)) {
      throw new ConfigError(`${name} is ${value}.`, { remedy: 'Write a whole number above 0.' });
    }
  }
  return options;
}
