/**
 * A slot move has to know the keys on its source. From NOTE on, routers write the key of each write into `_shard_scope`; SCAN
 * adds those that were there before, page by page: here, a page is one key.
 */
import { forNotes } from './shard.ts';
import { type Emit, has, NOTE, nameOf, type State } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';
import { MOVER, type World } from './world.ts';

export function note(turn: Turn): Outcome {
  const { world, state, move, from } = turn;
  const slots = world.slotMask(move);
  // Also a move that is through comes by here, when a fresh mover begins: OPEN will tell.
  if ((world.slots.get(state, from) & slots) !== slots) {
    return turn.goOn(STEP.open, () => `note refused: ${nameOf(from)} does not own the slots`);
  }
  const next = turn.clone();
  const repeated = world.rules.freshGeneration ? 0 : NOTE.repeated;
  // The mover's earlier note row, if any, stays for its guards until it expires. The new one asks for as much.
  turn.learn(next, MOVER.note, NOTE.exists | repeated);
  turn.learn(next, MOVER.cursor, 0);
  return turn.go(next, STEP.scanRead, () => `note on ${nameOf(from)}`);
}

export function scanRead(turn: Turn): Outcome {
  const { world, state, from } = turn;
  for (let key = turn.knows(MOVER.cursor); key < world.keys; key++) {
    if (!world.value.get(state, from, key)) continue;
    const next = turn.clone();
    turn.learn(next, MOVER.found, key);
    return turn.go(next, STEP.scanInsert, () => `scan on ${nameOf(from)} finds key ${key}`);
  }
  return turn.goOn(STEP.scanEnd, () => `scan on ${nameOf(from)} is at the end`);
}

/** Without any condition: by now the key may be gone, or the slot, or the note row. */
export function scanInsert(turn: Turn): Outcome {
  const { world, state, move, from } = turn;
  const key = turn.knows(MOVER.found);
  const next = turn.clone();
  if (has(world.slotMask(move), world.slotOf(key))) {
    world.noted.set(next, world.noted.get(state, from) | (1 << key), from);
  }
  turn.learn(next, MOVER.found, 0);
  turn.learn(next, MOVER.cursor, key + 1);
  return turn.go(next, STEP.scanRead, () => `scan on ${nameOf(from)} inserts its page, key ${key}`);
}

/** The mover's own note row, if it is still there, becomes `noted`. */
export function scanEnd(turn: Turn): Outcome {
  const { world } = turn;
  const bits = turn.knows(MOVER.note);
  const next = turn.clone();
  if (bits & NOTE.exists) turn.learn(next, MOVER.note, bits | NOTE.noted);
  if (!world.rules.notedOwnGeneration) {
    forNotes(world, next, turn.from, (others, _, row) => world.mover.set(next, others | NOTE.noted, row, MOVER.note));
  }
  turn.learn(next, MOVER.cursor, 0);
  return turn.go(
    next,
    STEP.open,
    () => `scan on ${nameOf(turn.from)}: ${bits & NOTE.exists ? 'noted' : 'its note is gone'}`,
  );
}

/** The first of two NOTEs that were sent with the same generation arrives at last. */
export function lateNote(world: World, state: State, move: number, row: number, emit: Emit): void {
  const bits = world.mover.get(state, row, MOVER.note);
  if (!(bits & NOTE.repeated)) return;
  const from = world.from.get(state, move) - 1;
  const slots = world.slotMask(move);
  const arrives = (world.slots.get(state, from) & slots) === slots && !(bits & NOTE.exists);
  const next = state.slice();
  world.mover.set(next, arrives ? NOTE.exists : bits & ~NOTE.repeated, row, MOVER.note);
  emit(next, () => `move ${move}: the other one of two equal notes arrives on ${nameOf(from)}`);
}
