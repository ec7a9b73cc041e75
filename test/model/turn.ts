import { isKeysMove } from './scope.ts';
import { nameOf, PHASE, PHASE_NAMES, type State } from './state.ts';
import { MOVER, STEP_END, type World } from './world.ts';

/** Where a mover is in its program: what it does next. COPY and SCAN are two calls each, one to each shard or way. */
export const STEP = {
  journal: 0,
  askHome: 1,
  source: 2,
  note: 3,
  scanRead: 4,
  scanInsert: 5,
  scanEnd: 6,
  open: 7,
  freeze: 8,
  copyRead: 9,
  copyStage: 10,
  check: 11,
  land: 12,
  release: 13,
  home: 14,
  thaw: 15,
  close: 16,
  tidy: 17,
  abortTarget: 18,
  abortSource: 19,
  abortCatalog: 20,
  end: STEP_END,
} as const;

/** What comes next, by the phase that the target has answered with. */
const AFTER_TARGET: Readonly<Record<number, number>> = {
  [PHASE.staging]: STEP.freeze,
  [PHASE.landed]: STEP.release,
  [PHASE.aborted]: STEP.abortSource,
  [PHASE.closed]: STEP.close,
};

/** What one call leads to; null: the mover has to wait. */
export type Outcome = { readonly next: State; readonly label: () => string; readonly wrong: string | null } | null;

/** One call of one mover: what it sees, and ways to say what comes of it. */
export class Turn {
  readonly world: World;
  readonly state: State;
  readonly move: number;
  readonly row: number;

  constructor(world: World, state: State, move: number, row: number) {
    this.world = world;
    this.state = state;
    this.move = move;
    this.row = row;
  }

  get step(): number {
    return this.world.mover.get(this.state, this.row, MOVER.step);
  }

  get to(): number {
    return this.world.move(this.move).to;
  }

  /** The source; -1 while the catalog does not have it. */
  get from(): number {
    return this.world.from.get(this.state, this.move) - 1;
  }

  get movesKeys(): boolean {
    return isKeysMove(this.world.move(this.move));
  }

  /** The keys that the mover knows to be in the list. */
  get list(): number {
    return this.world.mover.get(this.state, this.row, MOVER.list);
  }

  knows(column: number): number {
    return this.world.mover.get(this.state, this.row, column);
  }

  learn(next: State, column: number, value: number): void {
    this.world.mover.set(next, value, this.row, column);
  }

  /** A value, record or record's move of a key in what the mover has copied. */
  copied(what: 0 | 1 | 2, key: number): number {
    return this.world.mover.get(this.state, this.row, MOVER.columns + what * this.world.keys + key);
  }

  copy(next: State, what: 0 | 1 | 2, key: number, value: number): void {
    this.world.mover.set(next, value, this.row, MOVER.columns + what * this.world.keys + key);
  }

  phaseAt(shard: number): number {
    return this.world.phase.get(this.state, shard, this.move);
  }

  setPhase(next: State, shard: number, phase: number): void {
    this.world.phase.set(next, phase, shard, this.move);
  }

  isBelowFloor(shard: number): boolean {
    return this.move < this.world.floor.get(this.state, shard);
  }

  clone(): State {
    return this.state.slice();
  }

  /** The call has led to `next`, and the mover goes on at `step`. */
  go(next: State, step: number, label: () => string, wrong: string | null = null): Outcome {
    const { world, row, move } = this;
    this.learn(next, MOVER.step, step);
    // What it no longer needs, it forgets: states that differ by it alone are one.
    if (step !== STEP.copyStage) world.mover.clearRow(next, row, MOVER.columns);
    if (step === STEP.end) {
      const note = world.mover.get(next, row, MOVER.note);
      world.mover.clearRow(next, row);
      this.learn(next, MOVER.step, step);
      this.learn(next, MOVER.note, note);
    }
    return { next, label: () => `move ${move}: ${label()}`, wrong };
  }

  /** Nothing has changed, and the mover goes on at `step`. */
  goOn(step: number, label: () => string): Outcome {
    return this.go(this.clone(), step, label);
  }

  /** The target has answered with a phase that says how far the move is. */
  followTarget(what: string, phase: number): Outcome {
    const step = AFTER_TARGET[phase] ?? STEP.end;
    return this.goOn(step, () => `${what} on ${nameOf(this.to)}: phase is ${PHASE_NAMES[phase]}`);
  }
}
