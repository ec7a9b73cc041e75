/** From OPEN to CHECK: the source stands still, and the target has a copy that nobody sees yet. */
import { comesAlong, isNoted, owns, readable } from './shard.ts';
import { has, nameOf, PHASE, type State } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';
import { MOVER } from './world.ts';

export function open(turn: Turn): Outcome {
  const { world, state, to } = turn;
  const phase = turn.phaseAt(to);
  if (phase !== PHASE.absent) return turn.followTarget('open', phase);
  if (turn.isBelowFloor(to)) return turn.goOn(STEP.end, () => `open on ${nameOf(to)}: below its floor`);
  if (world.pins.get(state, to)) return null;
  const next = turn.clone();
  turn.setPhase(next, to, PHASE.staging);
  return turn.go(next, STEP.freeze, () => `open on ${nameOf(to)}`);
}

export function freeze(turn: Turn): Outcome {
  const { world, state, move, from } = turn;
  const phase = turn.phaseAt(from);
  const at = nameOf(from);
  const next = turn.clone();
  // The list is what the row says, whatever this mover has thought.
  const list = phase === PHASE.absent ? turn.list : world.sourceList.get(state, move);
  turn.learn(next, MOVER.list, list);
  if (phase === PHASE.frozen) return turn.go(next, STEP.copyRead, () => `freeze on ${at}: already`);
  if (phase === PHASE.released) return turn.go(next, STEP.home, () => `freeze on ${at}: released already`);
  if (phase !== PHASE.absent) return turn.go(next, STEP.open, () => `freeze on ${at}: closed`);
  if (turn.isBelowFloor(from)) return turn.goOn(STEP.end, () => `freeze on ${at}: below its floor`);
  if (world.pins.get(state, from)) return null;
  if (world.rules.freezeChecks && !(turn.movesKeys ? takeKeys(turn, next) : ownsSlots(turn))) {
    return turn.goOn(STEP.abortTarget, () => `freeze refused: ${at} does not own it`);
  }
  if (world.scope.notes && world.rules.freezeNeedsNoted && !isNoted(world, state, from, world.slotMask(move))) {
    return turn.goOn(STEP.note, () => `freeze refused: not noted on ${at}`);
  }
  world.sourceList.set(next, list, move);
  turn.setPhase(next, from, PHASE.frozen);
  return turn.go(next, STEP.copyRead, () => `freeze on ${at}`);
}

function ownsSlots({ world, state, from, move }: Turn): boolean {
  const slots = world.slotMask(move);
  return (world.slots.get(state, from) & slots) === slots;
}

/** Whether the source has all keys of the list; completes claims to it that were only made at the home. */
function takeKeys({ world, state, from, list }: Turn, next: State): boolean {
  for (let key = 0; key < world.keys; key++) {
    if (!has(list, key)) continue;
    const isClaimed = !world.record.get(state, from, key) && !owns(world, state, from, key);
    if (isClaimed) world.record.set(next, from + 1, from, key);
    else if (!readable(world, state, from, key)) return false;
  }
  return true;
}

/** Whether the move says something of the key: its rows, or its record, come along. */
export function concerns(turn: Turn, list: number, key: number): boolean {
  return turn.movesKeys ? has(list, key) : has(turn.world.slotMask(turn.move), turn.world.slotOf(key));
}

/** Whether the rows of the key are in the scope of the move. */
export function inScope(turn: Turn, key: number): boolean {
  const { world, state, from } = turn;
  if (turn.movesKeys) return true;
  if (!comesAlong(world, from, world.record.get(state, from, key))) return false;
  return !world.scope.notes || has(world.noted.get(state, from), key);
}

export function copyRead(turn: Turn): Outcome {
  const { world, state, from, move } = turn;
  if (turn.phaseAt(from) !== PHASE.frozen) {
    return turn.goOn(STEP.freeze, () => `copy refused by ${nameOf(from)}`);
  }
  const next = turn.clone();
  const list = world.sourceList.get(state, move);
  turn.learn(next, MOVER.list, list);
  for (let key = 0; key < world.keys; key++) {
    if (!concerns(turn, list, key)) continue;
    if (inScope(turn, key)) turn.copy(next, 0, key, world.value.get(state, from, key));
    turn.copy(next, 1, key, world.record.get(state, from, key));
    turn.copy(next, 2, key, world.recordMove.get(state, from, key));
  }
  return turn.go(next, STEP.copyStage, () => `copy reads on ${nameOf(from)}`);
}

export function copyStage(turn: Turn): Outcome {
  const { world, to, move } = turn;
  const phase = turn.phaseAt(to);
  if (phase !== PHASE.staging) return turn.followTarget('copy refused', phase);
  const next = turn.clone();
  world.targetList.set(next, turn.list, move);
  for (let key = 0; key < world.keys; key++) {
    world.stagedValue.set(next, turn.copied(0, key), move, key);
    world.stagedRecord.set(next, turn.copied(1, key), move, key);
    world.stagedRecordMove.set(next, turn.copied(2, key), move, key);
  }
  return turn.go(next, STEP.check, () => `copy stages on ${nameOf(to)}`);
}

/** Looks at both copies. Here it only takes its time: that they are equal is for the invariants to say. */
export function check(turn: Turn): Outcome {
  return turn.goOn(STEP.land, () => 'check');
}
