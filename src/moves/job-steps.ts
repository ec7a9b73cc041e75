import { adoptStep } from '../adoption/job';
import type { Job, JobProgress, JobStep } from '../catalog/journal';
import { MoveRefusedError } from '../errors';
import { slotOf } from '../placement/slots';
import { bound, sql } from '../sql/tag';
import { collectOn } from './collect';
import { closeShard, retireShard } from './drain';
import type { MoveIo } from './io';
import type { JobMoves } from './job-moves';
import type { MoveOutcome } from './mover';
import { copyReferences } from './references';
import { type NotedRange, rowsPerSlot, unnote } from './scan';
import type { MoveSpec } from './spec';

/** Keys that one move takes along by their records. */
const KEYS_PER_MOVE = 500;

/** The steps of a job, each taken one move further at a time. */
export class JobSteps {
  /** Rows of each slot of the range that is being moved: counted once. */
  #sizes: { readonly key: string; readonly rows: ReadonlyMap<number, number> } | undefined;

  constructor(
    readonly io: MoveIo,
    readonly spec: MoveSpec,
    readonly moves: JobMoves,
  ) {}

  /** What is to be written of the job then. */
  async take(job: Job, step: JobStep): Promise<JobProgress> {
    switch (step.do) {
      case 'keys':
        return this.#moveKeys(job, step);
      case 'slots':
        return this.#moveSlots(job, step);
      case 'records':
        return this.#moveRecords(job, step);
      case 'reference':
        return this.#reference(job, step);
      case 'adopt':
        return adoptStep(this.io, this.spec, job, step);
      case 'close':
        await closeShard(this.io, step.shard);
        return { at: job.at + 1, cursor: 0 };
      case 'retire': {
        const isEmpty = await retireShard(this.io, this.spec, step.shard, job.id);
        // Keys that were claimed before the closing was known everywhere have to go as well.
        const again = job.steps.findIndex((one) => one.do === 'records');
        return { at: isEmpty ? job.at + 1 : again, cursor: 0 };
      }
    }
  }

  /** A shard that joins gets the rows that are whole everywhere, and is then active. */
  async #reference(job: Job, { to }: JobStep & { do: 'reference' }): Promise<JobProgress> {
    const view = await this.io.catalog.map();
    const from = view?.map.shards.find(({ name, state }) => state === 'active' && name !== to);
    const rows = from ? await copyReferences(this.io, this.spec, from.name, to) : 0;
    await this.io.catalog.activate(to);
    return { at: job.at + 1, cursor: 0, rows };
  }

  /** The cursor counts keys. Keys of one home and one owner go together; the list is in the order of their slots. */
  async #moveKeys(job: Job, { keyspace, keys, to }: JobStep & { do: 'keys' }): Promise<JobProgress> {
    const first = keys[job.cursor];
    if (first === undefined) return { at: job.at + 1, cursor: 0 };
    const slot = slotOf(first);
    if (keys.length === 1) {
      const outcome = await this.moves.move({ kind: 'keys', keyspace, lo: slot, hi: slot, key: first, to }, []);
      return { cursor: 1, ...countsOf(outcome) };
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
      const outcome = await this.moves.move(request, own);
      done = {
        rows: done.rows + (outcome?.rows ?? 0),
        bytes: done.bytes + (outcome?.bytes ?? 0),
        moves: done.moves + 1,
      };
    }
    return { cursor: job.cursor + group.length, ...done };
  }

  /** The cursor is the first slot that is left. Slots that others have moved meanwhile are passed over. */
  async #moveSlots(job: Job, step: JobStep & { do: 'slots' }): Promise<JobProgress> {
    const { keyspace, from, to } = step;
    const view = await this.io.catalog.map();
    const next = Math.max(step.lo, job.cursor);
    const owned = view?.map.keyspaces[keyspace]?.ranges.find(
      (one) => one.shard === from && one.hi >= next && one.lo <= step.hi,
    );
    if (next > step.hi || !owned) {
      await this.#endSlots(step);
      return { at: job.at + 1, cursor: 0 };
    }
    const [lo, hi] = [Math.max(next, owned.lo), Math.min(step.hi, owned.hi)];
    const last = await this.#lastSlot(job, { shard: from, keyspace, lo, hi }, to);
    const outcome = await this.moves.move({ kind: 'slots', keyspace, lo, hi: last, from, to }, []);
    return { cursor: last + 1, ...countsOf(outcome) };
  }

  /** Where the next move ends, so that it is not frozen for long. */
  async #lastSlot(job: Job, range: NotedRange, to: string): Promise<number> {
    const key = `${job.at}:${range.hi}`;
    if (this.#sizes?.key !== key) {
      const { cargos, keyLists } = this.moves.mover;
      const cargo = await cargos.of(range.keyspace, range.shard, to);
      if (!(await keyLists.make(range, cargo))) return range.hi;
      this.#sizes = { key, rows: await rowsPerSlot(this.io, range, cargo) };
    }
    let rows = 0;
    for (let slot = range.lo; slot <= range.hi; slot++) {
      rows += this.#sizes.rows.get(slot) ?? 0;
      if (rows > this.moves.maxRows && slot > range.lo) return slot - 1;
    }
    return range.hi;
  }

  async #endSlots({ keyspace, from, to, lo, hi }: JobStep & { do: 'slots' }): Promise<void> {
    await this.io.run(from, unnote({ shard: from, keyspace, lo, hi }));
    await collectOn(this.io, [from, to]);
  }

  /** Keys that homes have records of on `from`. The cursor counts keys. */
  async #moveRecords(job: Job, step: JobStep & { do: 'records' }): Promise<JobProgress> {
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
      const outcome = await this.moves.move({ kind: 'keys', keyspace, lo, hi, from, to: target }, keys);
      return { cursor: job.cursor + keys.length, ...countsOf(outcome) };
    }
    await collectOn(this.io, [from, ...to]);
    return { at: job.at + 1, cursor: 0 };
  }
}

export const countsOf = (outcome: MoveOutcome | undefined): JobProgress =>
  outcome?.state === 'done' ? { rows: outcome.rows, bytes: outcome.bytes, moves: 1 } : {};
