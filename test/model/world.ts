import { ALL_RULES, type Rules } from './rules.ts';
import { isKeysMove, type Move, type Scope } from './scope.ts';
import { Allocator, type Field, maskOf, type State } from './state.ts';

/** The step of an actor that does nothing any more. */
export const STEP_END = 99;

/** Columns of a mover: what it knows, and its note row on the source. */
export const MOVER = { step: 0, home: 1, source: 2, list: 3, cursor: 4, found: 5, note: 6, columns: 7 } as const;
/** Columns of a router that claims a key. */
export const CLAIM = { step: 0, shard: 1, version: 2, columns: 3 } as const;
/** Columns of a scatter, before what it has seen of each key and the oldest value it may see. */
export const SCATTER = { step: 0, asked: 1, digest: 2, must: 3, old: 4, columns: 5 } as const;
export const SCATTER_WRITE = { step: 0, pinned: 1, written: 2, must: 3, digest: 4, columns: 5 } as const;
export const DRAIN = { step: 0, told: 1, looked: 2, digest: 3, drained: 4, columns: 5 } as const;

/** A scope with its rules, and where its states keep what. */
export class World {
  readonly scope: Scope;
  readonly rules: Rules;
  readonly keys: number;
  readonly movers: number;
  /** Of each move: the slots that it locks. */
  readonly locks: readonly number[];
  /** Of each slot move: its slots. */
  readonly slotMasks: readonly number[];
  readonly size: number;
  readonly start: State;

  // On each shard.
  readonly slots: Field;
  readonly version: Field;
  readonly digest: Field;
  readonly floor: Field;
  readonly pins: Field;
  /** Whether new claims to the draining shard are refused. */
  readonly claimsClosed: Field;
  /** Keys in `_shard_scope`. */
  readonly noted: Field;
  /** By key: 0, or 1 + the shard that the record names. */
  readonly record: Field;
  /** By key: 0 for a claim, or 1 + the move that wrote the record. */
  readonly recordMove: Field;
  readonly value: Field;
  /** By move: a {@link PHASE}. */
  readonly phase: Field;

  // In the catalog, by move or slot.
  readonly journaled: Field;
  /** 0, or 1 + the source. */
  readonly from: Field;
  readonly map: Field;
  readonly base: Field;

  // Of each move: the keys in its row on the source and on the target, and what is staged there, by key.
  readonly sourceList: Field;
  readonly targetList: Field;
  readonly stagedValue: Field;
  readonly stagedRecord: Field;
  readonly stagedRecordMove: Field;

  // Actors.
  readonly mover: Field;
  readonly claim: Field;
  readonly scatter: Field;
  readonly scatterWrite: Field;
  readonly drain: Field;
  readonly join: Field;

  /** The value of each key that the last acknowledged write left: no shard knows this. */
  readonly newest: Field;
  readonly writes: Field;

  constructor(scope: Scope, rules: Partial<Rules> = {}) {
    this.scope = scope;
    this.rules = { ...ALL_RULES, ...rules };
    this.movers = scope.movers ?? 1;
    const keys = scope.keySlot.length;
    this.keys = keys;
    this.slotMasks = scope.moves.map((move) => (isKeysMove(move) ? 0 : maskOf(move.slots)));
    this.locks = scope.moves.map((move) =>
      maskOf(isKeysMove(move) ? move.keys.map((key) => this.slotOf(key)) : move.slots),
    );

    const bytes = new Allocator();
    const { shards } = scope;
    const moves = scope.moves.length;
    this.slots = bytes.field(shards);
    this.version = bytes.field(shards);
    this.digest = bytes.field(shards);
    this.floor = bytes.field(shards);
    this.pins = bytes.field(shards);
    this.claimsClosed = bytes.field(shards);
    this.noted = bytes.field(shards);
    this.record = bytes.field(shards, keys);
    this.recordMove = bytes.field(shards, keys);
    this.value = bytes.field(shards, keys);
    this.phase = bytes.field(shards, moves);
    this.journaled = bytes.field(moves);
    this.from = bytes.field(moves);
    this.map = bytes.field(scope.owner.length);
    this.base = bytes.field(1);
    this.sourceList = bytes.field(moves);
    this.targetList = bytes.field(moves);
    this.stagedValue = bytes.field(moves, keys);
    this.stagedRecord = bytes.field(moves, keys);
    this.stagedRecordMove = bytes.field(moves, keys);
    // After the columns: what it has copied.
    this.mover = bytes.field(moves * this.movers, MOVER.columns + 3 * keys);
    this.claim = bytes.field(scope.claims?.length ?? 0, CLAIM.columns);
    this.scatter = bytes.field(scope.scatters?.length ?? 0, SCATTER.columns + 2 * keys);
    this.scatterWrite = bytes.field(scope.scatterWrites?.length ?? 0, SCATTER_WRITE.columns);
    this.drain = bytes.field(scope.drain ? 1 : 0, DRAIN.columns);
    this.join = bytes.field(1);
    this.newest = bytes.field(keys);
    this.writes = bytes.field(1);
    // A multiple of four bytes: states are stored and compared as words.
    this.size = (bytes.size + 3) & ~3;
    this.start = this.#start();
  }

  move(index: number): Move {
    return this.scope.moves[index] as Move;
  }

  slotOf(key: number): number {
    return this.scope.keySlot[key] as number;
  }

  /** The slots of a slot move, or those that a move of keys locks. */
  lockOf(move: number): number {
    return this.locks[move] as number;
  }

  slotMask(move: number): number {
    return this.slotMasks[move] as number;
  }

  #start(): State {
    const state = new Uint8Array(this.size);
    this.scope.owner.forEach((shard, slot) => {
      this.map.set(state, shard, slot);
      this.slots.set(state, this.slots.get(state, shard) | (1 << slot), shard);
    });
    for (const { key, at, explicit } of this.scope.start ?? []) {
      const home = this.map.get(state, this.slotOf(key));
      if (explicit) for (const shard of [home, at]) this.record.set(state, at + 1, shard, key);
      this.value.set(state, 1, at, key);
      this.newest.set(state, 1, key);
    }
    this.scope.moves.forEach(({ alone }, move) => {
      const first = move * this.movers;
      for (let row = first + 1; alone && row < first + this.movers; row++) this.mover.set(state, STEP_END, row);
    });
    return state;
  }
}
