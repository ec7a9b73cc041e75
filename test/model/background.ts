/** What happens by itself: expiry, collection, a shard that joins. */
import { lateNote } from './scan.ts';
import { lowestOpen, owns } from './shard.ts';
import { type Emit, NOTE, nameOf, type State } from './state.ts';
import { MOVER, type World } from './world.ts';

export function collect(world: World, state: State, emit: Emit): void {
  const floor = lowestOpen(world, state);
  for (let shard = 0; shard < world.scope.shards; shard++) {
    if (floor > world.floor.get(state, shard)) {
      const next = state.slice();
      world.floor.set(next, floor, shard);
      for (let move = 0; move < floor; move++) {
        world.phase.set(next, 0, shard, move);
        if (world.from.get(state, move) === shard + 1) world.sourceList.set(next, 0, move);
        if (world.move(move).to === shard) world.targetList.set(next, 0, move);
      }
      emit(next, () => `collect on ${nameOf(shard)}: floor ${floor}`);
    }
    for (let key = 0; key < world.keys; key++) {
      const record = world.record.get(state, shard, key);
      const move = world.recordMove.get(state, shard, key);
      if (!record || record === shard + 1 || owns(world, state, shard, key)) continue;
      if (!move || move > world.floor.get(state, shard)) continue;
      const next = state.slice();
      world.record.set(next, 0, shard, key);
      world.recordMove.set(next, 0, shard, key);
      world.version.increment(next, shard);
      emit(next, () => `collect on ${nameOf(shard)}: the forwarding record of key ${key}, version + 1`);
    }
  }
}

export function expirePins(world: World, state: State, emit: Emit): void {
  for (let shard = 0; shard < world.scope.shards; shard++) {
    if (!world.pins.get(state, shard)) continue;
    const next = state.slice();
    world.pins.set(next, 0, shard);
    emit(next, () => `pins on ${nameOf(shard)} expire`);
  }
}

/** A note row expires twice: first no FREEZE builds on it any more, and some time later no write heeds it any more. */
export function expireNotes(world: World, state: State, emit: Emit): void {
  const [first, second] = world.rules.freezeForgetsFirst
    ? [NOTE.freezeForgot, NOTE.guardForgot]
    : [NOTE.guardForgot, NOTE.freezeForgot];
  for (let row = 0; row < world.scope.moves.length * world.movers; row++) {
    const bits = world.mover.get(state, row, MOVER.note);
    if (!(bits & NOTE.exists)) continue;
    const next = state.slice();
    const isSecond = (bits & first) !== 0;
    world.mover.set(next, isSecond ? bits & NOTE.repeated : bits | first, row, MOVER.note);
    const who = (isSecond ? second : first) === NOTE.guardForgot ? 'guards' : 'freeze';
    emit(next, () => `a note of move ${Math.trunc(row / world.movers)} expires for ${who}`);
  }
}

export function arriveLate(world: World, state: State, emit: Emit): void {
  for (let move = 0; move < world.scope.moves.length; move++) {
    for (let row = move * world.movers; row < (move + 1) * world.movers; row++) lateNote(world, state, move, row, emit);
  }
}

/** The bit of the digest that stands for the shard that joins. */
const JOIN_WEIGHT = 1 << 7;

/** The last shard joins: listed in the catalog, digest of the shard, digest of the anchor A, active. */
export function join(world: World, state: State, emit: Emit): void {
  const shard = world.scope.shards - 1;
  const step = world.join.get(state);
  const next = state.slice();
  const name = nameOf(shard);
  if (step === 0) {
    world.join.set(next, world.rules.joinDigest ? 1 : 4);
    emit(next, () => `the catalog lists the new shard ${name}`);
  } else if (step < 3) {
    const where = step === 1 ? shard : 0;
    world.join.set(next, step + 1);
    world.digest.xor(next, JOIN_WEIGHT, where);
    emit(next, () => `${name} enters the digest of ${nameOf(where)}`);
  } else if (step === 3) {
    world.join.set(next, 4);
    emit(next, () => `the catalog calls ${name} active`);
  }
}
