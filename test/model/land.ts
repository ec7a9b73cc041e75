/** The two steps that change who owns what. LAND is the commit point. */
import { comesAlong, forNotes, owns } from './shard.ts';
import { concerns, inScope } from './stage.ts';
import { NOTE, nameOf, PHASE, type State } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';
import { MOVER } from './world.ts';

export function land(turn: Turn): Outcome {
  const { world, state, to, move } = turn;
  const phase = turn.phaseAt(to);
  if (phase !== PHASE.staging) return turn.followTarget('land refused', phase);
  const next = turn.clone();
  const list = world.targetList.get(state, move);
  for (let key = 0; key < world.keys; key++) {
    if (!concerns(turn, list, key)) continue;
    const value = world.stagedValue.get(state, move, key);
    if (value && world.value.get(state, to, key)) {
      return turn.goOn(STEP.abortTarget, () => `land fails on ${nameOf(to)}: primary key`);
    }
    if (value) world.value.set(next, value, to, key);
    if (turn.movesKeys) landRecord(turn, next, key);
    else carryRecord(turn, next, key);
  }
  clearStage(turn, next);
  if (!turn.movesKeys) takeSlots(turn, next);
  world.digest.xor(next, 1 << move, to);
  turn.setPhase(next, to, PHASE.landed);
  return turn.go(next, STEP.release, () => `land on ${nameOf(to)}`);
}

function landRecord({ world, state, to, move }: Turn, next: State, key: number): void {
  const isImplicit = !world.rules.homecomerKeepsRecord && owns(world, state, to, key);
  world.record.set(next, isImplicit ? 0 : to + 1, to, key);
  world.recordMove.set(next, isImplicit ? 0 : move + 1, to, key);
}

/** The record that the slot's old home had, or none, takes the place of what the target had. */
function carryRecord({ world, state, from, to, move }: Turn, next: State, key: number): void {
  const record = world.stagedRecord.get(state, move, key);
  if (!world.rules.explicitStays && record === from + 1) {
    world.record.set(next, to + 1, to, key);
  } else if (record || world.rules.landReplaces) {
    world.record.set(next, record, to, key);
    world.recordMove.set(next, world.stagedRecordMove.get(state, move, key), to, key);
  }
}

function takeSlots({ world, state, to, move }: Turn, next: State): void {
  const slots = world.slotMask(move);
  world.slots.set(next, world.slots.get(state, to) | slots, to);
  if (!world.rules.landDropsNotes) return;
  forNotes(world, state, to, (bits, covered, row) => {
    if (covered & slots) world.mover.set(next, bits & NOTE.repeated, row, MOVER.note);
  });
}

export function clearStage({ world, move }: Turn, next: State): void {
  world.stagedValue.clearRow(next, move);
  world.stagedRecord.clearRow(next, move);
  world.stagedRecordMove.clearRow(next, move);
}

export function release(turn: Turn): Outcome {
  const { world, state, from, to, move } = turn;
  const phase = turn.phaseAt(from);
  const next = turn.clone();
  const list = world.sourceList.get(state, move);
  turn.learn(next, MOVER.list, list);
  if (phase === PHASE.released) return turn.go(next, STEP.home, () => `release on ${nameOf(from)}: already`);
  if (phase !== PHASE.frozen) {
    const step = phase === PHASE.closed ? STEP.close : STEP.end;
    return turn.goOn(step, () => `release refused by ${nameOf(from)}`);
  }
  let wrong: string | null = null;
  for (let key = 0; key < world.keys; key++) {
    if (!concerns(turn, list, key)) continue;
    const record = world.record.get(state, from, key);
    if (inScope(turn, key)) {
      if (world.value.get(state, from, key) !== world.value.get(state, to, key))
        wrong ??= `release deletes another row of key ${key} than landed`;
      world.value.set(next, 0, from, key);
    }
    if (turn.movesKeys) {
      world.record.set(next, to + 1, from, key);
      world.recordMove.set(next, move + 1, from, key);
    } else if (!comesAlong(world, from, record) && record !== from + 1) {
      world.record.set(next, 0, from, key);
      world.recordMove.set(next, 0, from, key);
    }
  }
  if (!turn.movesKeys) leaveSlots(turn, next);
  world.version.increment(next, from);
  world.digest.xor(next, 1 << move, from);
  turn.setPhase(next, from, PHASE.released);
  return turn.go(next, STEP.home, () => `release on ${nameOf(from)}`, wrong);
}

function leaveSlots(turn: Turn, next: State): void {
  const { world, state, from, move } = turn;
  world.slots.set(next, world.slots.get(state, from) & ~world.slotMask(move), from);
  let noted = world.noted.get(state, from);
  for (let key = 0; key < world.keys; key++) if (concerns(turn, 0, key)) noted &= ~(1 << key);
  world.noted.set(next, noted, from);
}
