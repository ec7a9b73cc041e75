import { slotOf } from '../../src/placement/slots';
import {
  cutRange,
  insertMove,
  insertRows,
  type Journaled,
  listKey,
  need,
  phaseOf,
  pointAtTarget,
  raise,
  type Side,
  setPhase,
  setState,
  weigh,
} from './move-sql';
import { raw, runSql, type Sql, sql } from './sql';

/** The databases of a cluster without a coordinator, and the tables of its keyspace. */
export interface Fleet {
  /** Every shard by its name; the catalog is in the first one's database. */
  readonly shards: Readonly<Record<string, D1Database>>;
  /** Parents before children. */
  readonly tables: readonly { readonly name: string; readonly key: string }[];
  /** @default 'default' */
  readonly keyspace?: string;
}

/** One key, or a range of slots with both ends. */
export type Scope = { readonly key: string } | { readonly slots: readonly [lo: number, hi: number] };

/** The steps of a move in their order. `land` is the commit point: before it a move may be aborted, after it only finished. */
export const STEPS = ['open', 'freeze', 'land', 'release', 'home', 'thaw', 'close'] as const;
export type Step = (typeof STEPS)[number];

/**
 * A move as the ownership protocol wants it, on real databases and one step at a time, so that tests can look between any
 * two. It copies in one piece, and has no checksums and no way to resume: what a shard lets slip in shows as a lost row.
 *
 * @example
 * const mover = await Mover.begin({ shards: shards(3), tables: [{ name: 'users', key: 'id' }] }, { key: 'u1' }, 's2');
 * await mover.through('land'); // both shards answer reads of the row, and none takes writes
 * await mover.finish();
 */
export class Mover {
  #done = 0;

  private constructor(
    readonly fleet: Fleet,
    readonly move: Journaled,
  ) {}

  /** JOURNAL and SOURCE: locks the slots, and finds where the key is. */
  static async begin(fleet: Fleet, scope: Scope, to: string): Promise<Mover> {
    const { shards, keyspace = 'default' } = fleet;
    const key = 'key' in scope ? scope.key : null;
    const [lo, hi] = 'key' in scope ? [slotOf(scope.key), slotOf(scope.key)] : scope.slots;
    const weight = 1 + Math.floor(Math.random() * (2 ** 52 - 1));
    const overlaps = sql`keyspace = ${keyspace} and lo <= ${hi} and hi >= ${lo}`;
    const [owners = [], [journaled] = []] = await runSql(controlOf(fleet), [
      sql`select distinct shard from _shard_catalog_slots where ${overlaps}`,
      sql`insert into _shard_catalog_moves (request, job, kind, started, keyspace, lo, hi, key, "to", weight)
        select ${crypto.randomUUID()}, 0, ${key === null ? 'slots' : 'keys'}, 0, ${keyspace}, ${lo}, ${hi}, ${key}, ${to}, ${weight}
        where not exists (select 1 from _shard_catalog_moves where state = 'open' and ${overlaps})
          and 1 = (select count(distinct shard) from _shard_catalog_slots where ${overlaps}) returning id`,
    ]);
    if (!journaled) throw new Error(`The slots ${lo} to ${hi} are locked, or not of one shard`);
    const home = String(owners[0]?.shard);
    const [[record] = []] = await runSql(shards[home], [sql`select at from _shard_keys where key = ${key}`]);
    const from = String(record?.at ?? home);
    const mover = new Mover(fleet, { id: Number(journaled.id), weight, keyspace, key, lo, hi, from, to, home });
    if (from !== to) return mover;
    await runSql(controlOf(fleet), [setState(mover.move, 'aborted')]);
    throw new Error(`It is on ${to} already`);
  }

  /** Runs the next step, and tells which; undefined when there is none. */
  async next(): Promise<Step | undefined> {
    const step = STEPS[this.#done];
    if (step) {
      await this[step]();
      this.#done++;
    }
    return step;
  }

  /** Runs all steps up to this one that have not been run. */
  async through(last: Step): Promise<void> {
    while (this.#done <= STEPS.indexOf(last)) await this.next();
  }

  finish = (): Promise<void> => this.through('close');

  /** The step that was run last. */
  get last(): Step | undefined {
    return STEPS[this.#done - 1];
  }

  /** The target gets ready. Waits for writes to all shards, which hold moves off. */
  async open(): Promise<void> {
    await this.#enter('in', 'staging', []);
  }

  /** The source, which must own the whole scope now, takes no more writes in it. */
  async freeze(): Promise<void> {
    const { key, lo, hi, keyspace, from, home } = this.move;
    const recorded = sql`(select at = ${from} from _shard_keys where keyspace = ${keyspace} and key = ${key})`;
    const owned = sql`(select sum(min(hi, ${hi}) - max(lo, ${lo}) + 1) from _shard_slots
      where keyspace = ${keyspace} and lo <= ${hi} and hi >= ${lo})`;
    const owns = sql`coalesce(${recorded}, ${owned} = ${hi - lo + 1}, 0)`;
    await this.#enter('out', 'frozen', [
      // Home says that the key is here: a claim that was only half done is completed.
      ...(key !== null && from !== home
        ? [
            sql`insert into _shard_keys (keyspace, key, slot, at) values (${keyspace}, ${key}, ${lo}, ${from}) on conflict do nothing`,
          ]
        : []),
      sql`select case when ${phaseOf(this.move, 'out')} is null and not ${owns} then ${raise('SHARD_NOT_OWNER')} end`,
    ]);
  }

  /** COPY and LAND, the commit point: now both shards answer reads of the scope, and none takes writes. */
  async land(): Promise<void> {
    const { key, lo, hi, keyspace, from, to } = this.move;
    const { tables, shards } = this.fleet;
    const keys = await this.#keys();
    const inSlots = sql`keyspace = ${keyspace} and slot between ${lo} and ${hi}`;
    const [records = [], ...rows] = await runSql(shards[from], [
      sql`select * from _shard_keys where ${inSlots}`,
      ...tables.map((table) => sql`select * from ${raw(table.name)} where ${raw(table.key)} in ${keys}`),
    ]);
    const carried = [
      sql`delete from _shard_keys where ${inSlots}`,
      ...insertRows('_shard_keys', records),
      sql`insert into _shard_slots (keyspace, lo, hi) values (${keyspace}, ${lo}, ${hi})`,
    ];
    await runSql(shards[to], [
      need(this.move, 'in', 'staging'),
      ...tables.flatMap(({ name }, i) => insertRows(name, rows[i] ?? [])),
      ...(key === null ? carried : [pointAtTarget(this.move)]),
      sql`update _shard_identity set ${weigh(this.move)}`,
      setPhase(this.move, 'in', 'staging', 'landed'),
    ]);
  }

  /** The source gives the rows up, and says where they are. */
  async release(): Promise<void> {
    const { key, lo, hi, keyspace, from } = this.move;
    const keys = await this.#keys();
    const handedOver = [
      ...cutRange(this.move, '_shard_slots', 'keyspace'),
      sql`delete from _shard_keys where keyspace = ${keyspace} and slot between ${lo} and ${hi} and at <> ${from}`,
    ];
    await runSql(this.fleet.shards[from], [
      need(this.move, 'out', 'frozen'),
      ...[...this.fleet.tables]
        .reverse()
        .map((table) => sql`delete from ${raw(table.name)} where ${raw(table.key)} in ${keys}`),
      ...(key === null ? handedOver : [pointAtTarget(this.move)]),
      sql`update _shard_identity set version = version + 1, ${weigh(this.move)}`,
      setPhase(this.move, 'out', 'frozen', 'released'),
    ]);
  }

  /** A home that is neither source nor target learns the new place. */
  async home(): Promise<void> {
    const { id, key, keyspace, from, to, home } = this.move;
    if (key === null || home === from || home === to) return;
    await runSql(this.fleet.shards[home], [
      sql`update _shard_keys set at = ${to}, move = ${id} where keyspace = ${keyspace} and key = ${key} and move < ${id}`,
    ]);
  }

  /** From now on the target takes writes. */
  async thaw(): Promise<void> {
    await runSql(this.fleet.shards[this.move.to], [setPhase(this.move, 'in', 'landed', 'closed')]);
  }

  /** The map of the catalog has the new owner, and the slots are unlocked. */
  async close(): Promise<void> {
    const { key, keyspace, lo, hi, to } = this.move;
    const slots = [
      ...cutRange(this.move, '_shard_catalog_slots', 'keyspace, shard'),
      sql`insert into _shard_catalog_slots (keyspace, lo, hi, shard) values (${keyspace}, ${lo}, ${hi}, ${to})`,
    ];
    await runSql(controlOf(this.fleet), [
      ...(key === null ? slots : []),
      sql`update _shard_catalog_cluster set epoch = epoch + 1`,
      setState(this.move, 'done'),
    ]);
  }

  /** TIDY, which may be left out: the source forgets where a range has gone, and says NOT_OWNER instead of MOVED. */
  async tidy(): Promise<void> {
    await runSql(this.fleet.shards[this.move.from], [setPhase(this.move, 'out', 'released', 'closed')]);
  }

  /** Gives the move up. Refused once it has landed. */
  async abort(): Promise<void> {
    const { shards } = this.fleet;
    await runSql(shards[this.move.to], [
      sql`select case when ${phaseOf(this.move, 'in')} not in ('staging', 'aborted') then ${raise('SHARD_PHASE')} end`,
      insertMove(this.move, 'in', 'aborted'),
      setPhase(this.move, 'in', 'staging', 'aborted'),
    ]);
    const frozen = setPhase(this.move, 'out', 'frozen', 'closed');
    await runSql(shards[this.move.from], [insertMove(this.move, 'out', 'closed'), frozen]);
    await runSql(controlOf(this.fleet), [setState(this.move, 'aborted')]);
    this.#done = STEPS.length;
  }

  /** The first batch on either side, again until no pin of a scatter write is left. */
  async #enter(side: Side, phase: string, checks: readonly Sql[]): Promise<void> {
    const { id, from, to } = this.move;
    const shard = side === 'in' ? to : from;
    const isNew = sql`${phaseOf(this.move, side)} is null`;
    const statements = [
      sql`delete from _shard_moves where side = 'pin' and expires < unixepoch()`,
      sql`select case when (select name from _shard_identity) is not ${shard} then ${raise('SHARD_IDENTITY')}
        when ${isNew} and (select floor from _shard_identity) > ${id} then ${raise('SHARD_CLOSED')}
        when ${isNew} and exists (select 1 from _shard_moves where side = 'pin') then ${raise('SHARD_PINNED')} end`,
      ...checks,
      insertMove(this.move, side, phase),
      ...listKey(this.move),
      need(this.move, side, phase),
    ];
    for (;;) {
      try {
        await runSql(this.fleet.shards[shard], statements);
        return;
      } catch (error) {
        if (!String(error).includes('SHARD_PINNED')) throw error;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  }

  /** The keys whose rows move; frozen, they stay the same. In a move of slots a key with a record of its own stays. */
  async #keys(): Promise<Sql> {
    const { key, lo, hi, keyspace, from } = this.move;
    const [recorded = [], ...found] = await runSql(this.fleet.shards[from], [
      sql`select key from _shard_keys where keyspace = ${keyspace}`,
      ...this.fleet.tables.map((table) => sql`select cast(${raw(table.key)} as text) as key from ${raw(table.name)}`),
    ]);
    const keys = new Set(found.flat().map((row) => String(row.key)));
    for (const row of recorded) keys.delete(String(row.key));
    const moving = key === null ? [...keys].filter((one) => lo <= slotOf(one) && slotOf(one) <= hi) : [key];
    return sql`(select value from json_each(${JSON.stringify(moving)}))`;
  }
}

const controlOf = ({ shards }: Fleet) => Object.values(shards)[0];
