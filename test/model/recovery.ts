import { violation } from './invariants.ts';
import { runMover } from './mover.ts';
import { writable } from './shard.ts';
import { JOURNALED, NOTE, type State } from './state.ts';
import { STEP } from './turn.ts';
import { MOVER, type World } from './world.ts';

/** More calls than any mover takes that is alone. */
const ENOUGH = 80;

/** Everything is dead and pins have expired: can a fresh mover finish each open move, and has each key a writable owner then? */
export function unrecoverable(world: World, before: State): string | null {
  let state = before.slice();
  for (let shard = 0; shard < world.scope.shards; shard++) world.pins.set(state, 0, shard);
  for (let move = 0; move < world.scope.moves.length; move++) {
    if (world.journaled.get(state, move) !== JOURNALED.open) continue;
    // In the place of a dead one, whose note row its own will replace.
    const row = move * world.movers;
    const note = world.mover.get(state, row, MOVER.note) & ~NOTE.repeated;
    world.mover.clearRow(state, row);
    world.mover.set(state, note, row, MOVER.note);
    for (let call = 0; call < ENOUGH && world.mover.get(state, row) !== STEP.end; call++) {
      let after: State | null = null;
      runMover(world, state, move, row, (next) => (after = next), false);
      if (!after) break;
      state = after;
      const found = violation(world, state);
      if (found) return `during recovery: ${found}`;
    }
    if (world.mover.get(state, row) !== STEP.end || world.journaled.get(state, move) === JOURNALED.open) {
      return `a fresh mover cannot finish move ${move}: it stops at step ${world.mover.get(state, row)}`;
    }
  }
  for (let key = 0; key < world.keys; key++) {
    let owners = 0;
    for (let shard = 0; shard < world.scope.shards; shard++) if (writable(world, state, shard, key)) owners++;
    if (owners !== 1 && !isOnlyClaimed(world, state, key))
      return `after recovery ${owners} shards take writes of key ${key}`;
  }
  return null;
}

/** The home names a shard to which nobody has come yet. */
function isOnlyClaimed(world: World, state: State, key: number): boolean {
  const home = world.map.get(state, world.slotOf(key));
  const at = world.record.get(state, home, key) - 1;
  return at >= 0 && at !== home && !world.record.get(state, at, key) && !world.newest.get(state, key);
}
