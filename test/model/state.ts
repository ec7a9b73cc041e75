/** A state of the whole cluster, of all actors and of what they know: a short array of bytes. */
export type State = Uint8Array;

/** Called for every state that one action can lead to. `wrong` is set if a client got a wrong answer on the way. */
export type Emit = (next: State, label: () => string, wrong?: string | null) => void;

/** A table of bytes in a state. */
export class Field {
  readonly offset: number;
  readonly columns: number;

  constructor(offset: number, columns: number) {
    this.offset = offset;
    this.columns = columns;
  }

  get(state: State, row = 0, column = 0): number {
    return state[this.offset + row * this.columns + column] as number;
  }

  set(state: State, value: number, row = 0, column = 0): void {
    state[this.offset + row * this.columns + column] = value;
  }

  xor(state: State, value: number, row = 0, column = 0): void {
    this.set(state, this.get(state, row, column) ^ value, row, column);
  }

  increment(state: State, row = 0, column = 0): void {
    this.set(state, this.get(state, row, column) + 1, row, column);
  }

  clearRow(state: State, row: number, from = 0): void {
    const start = this.offset + row * this.columns;
    state.fill(0, start + from, start + this.columns);
  }
}

export class Allocator {
  size = 0;

  field(rows: number, columns = 1): Field {
    const field = new Field(this.size, columns);
    this.size += rows * columns;
    return field;
  }
}

/** Phases of a row of `_shard_moves`; the side follows from the shard. */
export const PHASE = {
  absent: 0,
  frozen: 1,
  staging: 2,
  landed: 3,
  released: 4,
  aborted: 5,
  closed: 6,
} as const;

export const PHASE_NAMES = Object.keys(PHASE);

/** States of a move in the catalog. */
export const JOURNALED = { no: 0, open: 1, done: 2, aborted: 3 } as const;

/** Bits of a note row, which its mover created on the source. */
export const NOTE = {
  exists: 1,
  noted: 2,
  /** FREEZE no longer accepts it. */
  freezeForgot: 4,
  /** Guards no longer heed it. */
  guardForgot: 8,
  /** The mover has sent NOTE twice, and one of the two is still under way. */
  repeated: 16,
} as const;

/**
 * A value of a key is the number of the write that made it, in five bits, and above them how often a scatter write has
 * changed it. 0: no row.
 */
export const VALUE_BITS = 31;
export const SCATTERED = 32;

export const nameOf = (shard: number): string => String.fromCharCode(65 + shard);
export const maskOf = (bits: Iterable<number>): number => {
  let mask = 0;
  for (const bit of bits) mask |= 1 << bit;
  return mask;
};
export const has = (mask: number, bit: number): boolean => ((mask >> bit) & 1) === 1;
