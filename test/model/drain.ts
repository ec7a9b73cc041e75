/** A coordinator that empties a shard R: tells all shards, looks until nothing is left, retires it. Moves are others' work. */
import { owns } from './shard.ts';
import { type Emit, has, JOURNALED, nameOf, type State } from './state.ts';
import { DRAIN, STEP_END, type World } from './world.ts';

const STEP = { begin: 0, tell: 1, wait: 2, look: 3, end: STEP_END } as const;

export const isRetired = (world: World, state: State): boolean =>
  world.scope.drain !== undefined && world.drain.get(state) === STEP.end;

export function drain(world: World, state: State, emit: Emit): void {
  const { drain: drainer, scope } = world;
  if (!scope.drain) return;
  const { shard: drained } = scope.drain;
  const step = drainer.get(state);
  const all = Array.from({ length: scope.shards }, (_, shard) => shard);
  if (step === STEP.begin) {
    const next = state.slice();
    drainer.set(next, STEP.tell);
    emit(next, () => `drain: the catalog calls ${nameOf(drained)} draining`);
    return;
  }
  if (step === STEP.tell) {
    const told = drainer.get(state, 0, DRAIN.told);
    const left = all.filter((shard) => !has(told, shard) && isTold(world, state, shard));
    for (const shard of left) {
      const next = state.slice();
      world.claimsClosed.set(next, 1, shard);
      drainer.set(next, told | (1 << shard), 0, DRAIN.told);
      if (left.length === 1) drainer.set(next, STEP.wait);
      emit(next, () => `drain: ${nameOf(shard)} takes no new claims to ${nameOf(drained)}`);
    }
    return;
  }
  if (step === STEP.wait && !(world.rules.drainLocks && hasOpenMove(world, state, drained))) {
    const next = state.slice();
    drainer.set(next, STEP.look);
    emit(next, () => `drain: the catalog has no open move from or to ${nameOf(drained)}`);
  }
  if (step !== STEP.look) return;
  const looked = drainer.get(state, 0, DRAIN.looked);
  const left = all.filter((shard) => !has(looked, shard));
  for (const shard of left) {
    // Something is left: another round of moves, then another look from the start. It is as if this look had not begun.
    if (!isFree(world, state, shard, drained)) continue;
    const next = state.slice();
    drainer.set(next, looked | (1 << shard), 0, DRAIN.looked);
    drainer.xor(next, world.digest.get(state, shard), 0, DRAIN.digest);
    if (shard === drained) drainer.set(next, world.digest.get(state, shard), 0, DRAIN.drained);
    emit(next, () => `drain: nothing of ${nameOf(drained)} is found on ${nameOf(shard)}`);
  }
  if (looked) emit(lookAgain(world, state), () => 'drain: looks again');
  if (left.length === 0) retire(world, state, drained, emit);
}

function isTold(world: World, state: State, shard: number): boolean {
  return world.rules.drainTellsAll || world.slots.get(state, shard) !== 0 || shard === world.scope.drain?.shard;
}

function isFree(world: World, state: State, shard: number, drained: number): boolean {
  if (shard === drained) return world.slots.get(state, shard) === 0;
  for (let key = 0; key < world.keys; key++) {
    if (owns(world, state, shard, key) && world.record.get(state, shard, key) === drained + 1) return false;
  }
  return true;
}

function lookAgain(world: World, state: State): State {
  const next = state.slice();
  world.drain.clearRow(next, 0, DRAIN.looked);
  world.drain.set(next, STEP.wait);
  return next;
}

function retire(world: World, state: State, drained: number, emit: Emit): void {
  if (world.rules.lookBalances && world.drain.get(state, 0, DRAIN.digest) !== 0) return;
  const next = state.slice();
  world.base.xor(next, world.drain.get(state, 0, DRAIN.drained));
  world.drain.clearRow(next, 0);
  world.drain.set(next, STEP.end);
  emit(next, () => `drain: ${nameOf(drained)} is retired`);
}

/** Also a move whose source is not yet known may turn out to be from there. */
function hasOpenMove(world: World, state: State, shard: number): boolean {
  for (let move = 0; move < world.scope.moves.length; move++) {
    if (world.journaled.get(state, move) !== JOURNALED.open) continue;
    const from = world.from.get(state, move) - 1;
    if (from < 0 || from === shard || world.move(move).to === shard) return true;
  }
  return false;
}
