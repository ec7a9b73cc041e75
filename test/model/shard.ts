/** What a shard knows about keys: the guard, in questions. */
import { isKeysMove } from './scope.ts';
import { has, JOURNALED, NOTE, PHASE, type State } from './state.ts';
import { MOVER, type World } from './world.ts';

export function owns(world: World, state: State, shard: number, key: number): boolean {
  return has(world.slots.get(state, shard), world.slotOf(key));
}

/** Whether the shard answers for the key: by its record, or else by its slot. */
export function readable(world: World, state: State, shard: number, key: number): boolean {
  const record = world.record.get(state, shard, key);
  return record ? record === shard + 1 : owns(world, state, shard, key);
}

export function writable(world: World, state: State, shard: number, key: number): boolean {
  return readable(world, state, shard, key) && !busy(world, state, shard, key, false);
}

/** Whether a move holds writes to the key off. To a claim also a slot move matters that would leave an explicit key alone. */
export function busy(world: World, state: State, shard: number, key: number, claims: boolean): boolean {
  const explicit = world.record.get(state, shard, key) !== 0;
  for (let move = 0; move < world.scope.moves.length; move++) {
    const phase = world.phase.get(state, shard, move);
    const lists = phase === PHASE.frozen ? world.sourceList : world.targetList;
    if (phase !== PHASE.frozen && !(phase === PHASE.landed && world.rules.targetBusy)) continue;
    if (isKeysMove(world.move(move))) {
      if (has(lists.get(state, move), key)) return true;
    } else if ((claims || !explicit) && has(world.slotMask(move), world.slotOf(key))) return true;
  }
  return false;
}

/** Whether a move is under way on the shard: it takes no pins then. */
export function inMotion(world: World, state: State, shard: number): boolean {
  for (let move = 0; move < world.scope.moves.length; move++) {
    const phase = world.phase.get(state, shard, move);
    if (phase === PHASE.frozen || phase === PHASE.staging || phase === PHASE.landed) return true;
  }
  return false;
}

/** Whether the row of slot move `move` takes the key's rows along. */
export function comesAlong(world: World, shard: number, record: number): boolean {
  return record === 0 || (!world.rules.explicitStays && record === shard + 1);
}

/** Calls back with the row of each mover that has a note row on the shard, and the slots that it covers. */
export function forNotes(
  world: World,
  state: State,
  shard: number,
  visit: (bits: number, slots: number, row: number) => void,
): void {
  if (!world.scope.notes) return;
  for (let move = 0; move < world.scope.moves.length; move++) {
    if (world.from.get(state, move) !== shard + 1) continue;
    for (let row = move * world.movers; row < (move + 1) * world.movers; row++) {
      const bits = world.mover.get(state, row, MOVER.note);
      if (bits & NOTE.exists) visit(bits, world.slotMask(move), row);
    }
  }
}

/** A keyed write to `next`, which passed its guard: also notes the key where a note row asks for it. */
export function noteWrite(world: World, next: State, shard: number, key: number): void {
  if (!world.rules.writersNote) return;
  forNotes(world, next, shard, (bits, slots) => {
    if (bits & NOTE.guardForgot || !has(slots, world.slotOf(key))) return;
    world.noted.set(next, world.noted.get(next, shard) | (1 << key), shard);
  });
}

/** Whether some note row in phase `noted` covers the slots. */
export function isNoted(world: World, state: State, shard: number, slots: number): boolean {
  let found = false;
  forNotes(world, state, shard, (bits, covered) => {
    if (bits & NOTE.noted && !(bits & NOTE.freezeForgot) && (covered & slots) === slots) found = true;
  });
  return found;
}

/** The lowest open id; an id that was skipped does not exist. */
export function lowestOpen(world: World, state: State): number {
  let end = world.scope.moves.length;
  while (end > 0 && world.journaled.get(state, end - 1) === JOURNALED.no) end--;
  for (let move = 0; move < end; move++) if (world.journaled.get(state, move) === JOURNALED.open) return move;
  return end;
}
