import { adoptStep } from '../adoption/job';
import type { Job, JobStep, Move, MoveRequest } from '../catalog/journal';
import { MoveInProgressError, MoveRefusedError, ShardedDrizzleError } from '../errors';
import { jittered, pause } from '../execution/retry';
import { slotOf } from '../placement/slots';
import { bound, sql } from '../sql/tag';
import { closeShard, retireShard } from './drain';
import type { MoveIo } from './io';
import { type MoveOutcome, Mover } from './mover';
import { copyReferences } from './references';
import { refusalOf } from './refusals';
import { type NotedRange, noteKeys, rowsPerSlot, unnote } from './scan';
import { type MoveSpec, readSpec } from './spec';
import { collect } from './steps';
import { Throttle } from './throttle';

/** Nobody else takes a job up for so long after its driver was last heard of. Scatters may have to wait for so long. */
const LEASE_SECONDS = 6;
const RENEW_MS = 2000;
const MAX_TRIES = 3;
const PROBES = 2;
/** Keys that one move takes along by their records. */
const KEYS_PER_MOVE = 500;

export interface RunOptions {
  /** Told after each move. */
  readonly onProgress?: (job: Job) => void;
  /** Names this driver. */
  readonly driver: string;
  /** When to stop between two moves, in milliseconds of Unix time; the job goes on later. */
  readonly until?: number;
  /** How long to wait for another move of the same slots, in milliseconds. */
  readonly patienceMs: number;
}

/**
 * Runs a job from where it is, move by move. Several may run the same job one after the other: whoever stops leaves it to be
 * taken up again.
 *
 * @returns The job as it is now: done, paused, cancelled, failed, or running when `until` has passed.
 * @throws What a move was refused with; the job has failed then. Other errors leave it running.
 */
export async function runJob(io: MoveIo, id: number, options: RunOptions): Promise<Job> {
  const run = new JobRun(renewing(io, id, options.driver), id, options);
  try {
    for (;;) {
      const job = await run.next();
      options.onProgress?.(job);
      if (job.state !== 'running' || (options.until !== undefined && Date.now() >= options.until)) return job;
    }
  } finally {
    // Whoever goes on need not wait. Where this fails, the lease ends by itself.
    await io.catalog.leaseJob(id, options.driver, 0).catch(() => {});
  }
}

/** The lease is renewed while batches run: a single step may take longer than it lasts. */
function renewing(io: MoveIo, id: number, driver: string): MoveIo {
  let renewed = Date.now();
  return {
    ...io,
    run: async (shard, statements) => {
      const rows = await io.run(shard, statements);
      if (Date.now() - renewed > RENEW_MS) {
        renewed = Date.now();
        await io.catalog.leaseJob(id, driver, LEASE_SECONDS);
      }
      return rows;
    },
  };
}

class JobRun {
  readonly #throttle = new Throttle();
  #mover: Mover | undefined;
  /** Rows of each slot of the range that is being moved: counted once. */
  #sizes: { readonly key: string; readonly rows: ReadonlyMap<number, number> } | undefined;

  constructor(
    readonly io: MoveIo,
    readonly id: number,
    readonly options: RunOptions,
  ) {}

  /** Takes the job one move further. */
  async next(): Promise<Job> {
    const { catalog } = this.io;
    const job = await this.#lease();
    if (job.state !== 'running') return job;
    const spec = readSpec(job.spec);
    try {
      for (const open of await catalog.moves(0)) {
        if (open.job === this.id) await this.#advanced(countsOf(await this.#drive(job, open, spec, [])));
      }
      const step = job.steps[job.at];
      if (!step) return await this.#advanced({ state: 'done', error: null });
      return await this.#step(job, step, spec);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      // What has landed goes forward only: whoever resumes the job ends it once the cause is gone.
      const isOpen = (await catalog.moves(0).catch(() => [])).some((move) => move.job === this.id);
      const isFinal = error instanceof ShardedDrizzleError && !(error instanceof MoveInProgressError) && !isOpen;
      await catalog.advanceJob(this.id, { error: text, ...(isFinal ? { state: 'failed' } : {}) });
      throw error;
    }
  }

  async #lease(): Promise<Job> {
    const { catalog } = this.io;
    const deadline = Date.now() + LEASE_SECONDS * 1000 + this.options.patienceMs;
    for (let round = 1; ; round++) {
      const isOurs = await catalog.leaseJob(this.id, this.options.driver, LEASE_SECONDS);
      const job = await catalog.job(this.id);
      if (!job) throw new MoveRefusedError(`There is no job ${this.id}.`);
      if (isOurs || job.state !== 'running') return job;
      if (Date.now() > deadline) throw new MoveInProgressError(`Another process is at work on job ${this.id}.`);
      await pause(jittered(50, round, 1000));
    }
  }

  async #advanced(progress: Parameters<MoveIo['catalog']['advanceJob']>[1]): Promise<Job> {
    return (await this.io.catalog.advanceJob(this.id, progress)) as Job;
  }

  async #step(job: Job, step: JobStep, spec: MoveSpec): Promise<Job> {
    switch (step.do) {
      case 'keys':
        return this.#moveKeys(job, step, spec);
      case 'slots':
        return this.#moveSlots(job, step, spec);
      case 'records':
        return this.#moveRecords(job, step, spec);
      case 'reference':
        return this.#reference(job, step, spec);
      case 'adopt':
        return this.#advanced(await adoptStep(this.io, spec, job, step));
      case 'close':
        await closeShard(this.io, step.shard);
        return this.#advanced({ at: job.at + 1, cursor: 0 });
      case 'retire': {
        const isEmpty = await retireShard(this.io, spec, step.shard, this.id);
        // Keys that were claimed before the closing was known everywhere have to go as well.
        const again = job.steps.findIndex((one) => one.do === 'records');
        return this.#advanced({ at: isEmpty ? job.at + 1 : again, cursor: 0 });
      }
    }
  }

  /** A shard that joins gets the rows that are whole everywhere, and is then active. */
  async #reference(job: Job, { to }: JobStep & { do: 'reference' }, spec: MoveSpec): Promise<Job> {
    const view = await this.io.catalog.map();
    const from = view?.map.shards.find(({ name, state }) => state === 'active' && name !== to);
    const rows = from ? await copyReferences(this.io, spec, from.name, to) : 0;
    await this.io.catalog.activate(to);
    return this.#advanced({ at: job.at + 1, cursor: 0, rows });
  }

  /** The cursor counts keys. Keys of one home and one owner go together; the list is in the order of their slots. */
  async #moveKeys(job: Job, { keyspace, keys, to }: JobStep & { do: 'keys' }, spec: MoveSpec): Promise<Job> {
    const first = keys[job.cursor];
    if (first === undefined) return this.#advanced({ at: job.at + 1, cursor: 0 });
    const slot = slotOf(first);
    if (keys.length === 1) {
      const outcome = await this.#move(job, { kind: 'keys', keyspace, lo: slot, hi: slot, key: first, to }, spec, []);
      return this.#advanced({ cursor: 1, ...countsOf(outcome) });
    }
    const view = await this.io.catalog.map();
    const range = view?.map.keyspaces[keyspace]?.ranges.find(({ lo, hi }) => lo <= slot && slot <= hi);
    if (!range) throw new MoveRefusedError(`No shard owns slot ${slot} of the keyspace ${keyspace}.`);
    const group = keys.slice(job.cursor, job.cursor + KEYS_PER_MOVE).filter((key) => slotOf(key) <= range.hi);
    const [rows = []] = await this.io.run(range.shard, [
      bound(sql`select j.value as key, coalesce(t.at, ${range.shard}) as at from json_each(${JSON.stringify(group)}) j
        left join _shard_keys t on t.keyspace = ${keyspace} and t.key = j.value order by j.key`),
    ]);
    const owners = new Map<string, string[]>();
    for (const { key, at } of rows) owners.set(String(at), [...(owners.get(String(at)) ?? []), String(key)]);
    let done = { rows: 0, bytes: 0, moves: 0 };
    for (const [from, own] of owners) {
      if (from === to) continue;
      const slots = own.map(slotOf);
      const request = { kind: 'keys' as const, keyspace, lo: Math.min(...slots), hi: Math.max(...slots), from, to };
      const outcome = await this.#move(job, request, spec, own);
      done = {
        rows: done.rows + (outcome?.rows ?? 0),
        bytes: done.bytes + (outcome?.bytes ?? 0),
        moves: done.moves + 1,
      };
    }
    return this.#advanced({ cursor: job.cursor + group.length, ...done });
  }

  /** The cursor is the first slot that is left. Slots that others have moved meanwhile are passed over. */
  async #moveSlots(job: Job, step: JobStep & { do: 'slots' }, spec: MoveSpec): Promise<Job> {
    const { keyspace, from, to } = step;
    const view = await this.io.catalog.map();
    const next = Math.max(step.lo, job.cursor);
    const owned = view?.map.keyspaces[keyspace]?.ranges.find(
      (one) => one.shard === from && one.hi >= next && one.lo <= step.hi,
    );
    if (next > step.hi || !owned) {
      await this.#endSlots(step);
      return this.#advanced({ at: job.at + 1, cursor: 0 });
    }
    const [lo, hi] = [Math.max(next, owned.lo), Math.min(step.hi, owned.hi)];
    const last = await this.#lastSlot(job, { shard: from, keyspace, lo, hi }, to, spec);
    const outcome = await this.#move(job, { kind: 'slots', keyspace, lo, hi: last, from, to }, spec, []);
    return this.#advanced({ cursor: last + 1, ...countsOf(outcome) });
  }

  /** Where the next move ends, so that it is not frozen for long. */
  async #lastSlot(job: Job, range: NotedRange, to: string, spec: MoveSpec): Promise<number> {
    const { io } = this;
    const key = `${job.at}:${range.hi}`;
    if (this.#sizes?.key !== key) {
      const cargo = await this.#moverOf(job, spec).cargo(range.keyspace, range.shard, to);
      if (!(await noteKeys(io, range, cargo))) return range.hi;
      this.#sizes = { key, rows: await rowsPerSlot(io, range, cargo) };
    }
    let rows = 0;
    for (let slot = range.lo; slot <= range.hi; slot++) {
      rows += this.#sizes.rows.get(slot) ?? 0;
      if (rows > this.#throttle.rowsOf(job.options) && slot > range.lo) return slot - 1;
    }
    return range.hi;
  }

  async #endSlots({ keyspace, from, to, lo, hi }: JobStep & { do: 'slots' }): Promise<void> {
    await this.io.run(from, unnote({ shard: from, keyspace, lo, hi }));
    await collectOn(this.io, [from, to]);
  }

  /** Keys that homes have records of on `from`. The cursor counts keys. */
  async #moveRecords(job: Job, step: JobStep & { do: 'records' }, spec: MoveSpec): Promise<Job> {
    const { keyspace, from, to, count = Number.MAX_SAFE_INTEGER } = step;
    const left = Math.min(KEYS_PER_MOVE, count - job.cursor);
    const view = left > 0 ? await this.io.catalog.map() : undefined;
    for (const range of view?.map.keyspaces[keyspace]?.ranges ?? []) {
      const [rows = []] = await this.io.run(range.shard, [
        bound(sql`select key, slot from _shard_keys where keyspace = ${keyspace} and slot between ${range.lo} and ${range.hi}
          and at = ${from} order by slot, key limit ${left}`),
      ]);
      if (rows.length === 0) continue;
      const keys = rows.map((row) => String(row.key));
      const slots = rows.map((row) => Number(row.slot));
      const target = to[Math.floor(job.cursor / KEYS_PER_MOVE) % to.length] as string;
      const [lo, hi] = [slots[0] as number, slots.at(-1) as number];
      const outcome = await this.#move(job, { kind: 'keys', keyspace, lo, hi, from, to: target }, spec, keys);
      return this.#advanced({ cursor: job.cursor + keys.length, ...countsOf(outcome) });
    }
    await collectOn(this.io, [from, ...to]);
    return this.#advanced({ at: job.at + 1, cursor: 0 });
  }

  /** Waits until the shards are as quick as they were. */
  #turn({ options }: Job, shards: readonly string[]): Promise<void> {
    return this.#throttle.turn(options, async () => {
      const began = performance.now();
      // More than once, as clocks of the runtime have steps of a millisecond.
      for (let i = 0; i < PROBES; i++) {
        await Promise.all(shards.map((shard) => this.io.run(shard, [bound(sql`select 1`)])));
      }
      return (performance.now() - began) / PROBES;
    });
  }

  /** JOURNAL, then all the rest. Undefined where the rows are there already. */
  async #move(
    job: Job,
    request: Omit<MoveRequest, 'request' | 'job'>,
    spec: MoveSpec,
    keys: readonly string[],
  ): Promise<MoveOutcome | undefined> {
    if (request.from !== undefined) await this.#turn(job, [request.from, request.to]);
    const began = Date.now();
    for (let tries = 1; ; tries++) {
      const journaled = await this.#journal({ ...request, request: crypto.randomUUID(), job: this.id });
      const outcome = journaled && (await this.#drive(job, journaled, spec, keys));
      if (outcome?.state === 'done') this.#throttle.moved(began, outcome.rows);
      if (outcome?.state !== 'aborted') return outcome;
      // Another process took this one for dead, and gave its move up.
      if (tries === MAX_TRIES)
        throw new MoveInProgressError(`Another process keeps giving up the moves of job ${this.id}.`);
    }
  }

  async #journal(request: MoveRequest): Promise<Move | undefined> {
    const deadline = Date.now() + this.options.patienceMs;
    for (let round = 1; ; round++) {
      const answer = await this.io.catalog.journal(request);
      if ('move' in answer) return answer.move;
      if (answer.refused === 'same' || answer.refused === 'owner') return undefined;
      if (answer.refused === 'locked' && (await this.#takeOver(answer.by))) continue;
      const isPassing = answer.refused === 'locked' || answer.refused === 'held';
      if (!isPassing || Date.now() > deadline) throw refusalOf(request, answer);
      await pause(jittered(20, round, 500));
    }
  }

  /** Ends a move that is in the way, if whoever began it has stopped. */
  async #takeOver({ id, job: jobId }: Move): Promise<boolean> {
    const { catalog } = this.io;
    const job = jobId === this.id ? undefined : await catalog.job(jobId);
    if (!job || !(await catalog.leaseJob(job.id, this.options.driver, LEASE_SECONDS))) return false;
    try {
      await new Mover(this.io, readSpec(job.spec), job.options.frozenMs).drive(id);
      return true;
    } catch {
      // It stays as it is, and whoever owns it is told why.
      return false;
    }
  }

  #moverOf({ options }: Job, spec: MoveSpec): Mover {
    this.#mover ??= new Mover(this.io, spec, options.frozenMs);
    return this.#mover;
  }

  #drive(job: Job, move: Move, spec: MoveSpec, keys: readonly string[]): Promise<MoveOutcome> {
    return this.#moverOf(job, spec).drive(move.id, keys);
  }
}

const countsOf = (outcome: MoveOutcome | undefined) =>
  outcome?.state === 'done' ? { rows: outcome.rows, bytes: outcome.bytes, moves: 1 } : {};

/** COLLECT on some shards: what closed moves have left there. */
export async function collectOn(io: MoveIo, shards: readonly string[]): Promise<void> {
  const floor = await io.catalog.floor();
  for (const shard of new Set(shards)) await io.run(shard, collect(io.cluster, shard, floor));
}
