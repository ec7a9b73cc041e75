import { isKeysMove } from './scope.ts';
import { has, JOURNALED, nameOf } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';
import { MOVER, type World } from './world.ts';

/** Catalog: takes the locks and an id, or finds the move as another mover of it left it. */
export function journal(turn: Turn): Outcome {
  const { world, state, move } = turn;
  const next = turn.clone();
  const home = world.map.get(state, lowestBit(world.lockOf(move)));
  const journaled = world.journaled.get(state, move);
  turn.learn(next, MOVER.home, home);
  if (journaled === JOURNALED.aborted) return turn.goOn(STEP.end, () => 'journal: the move is aborted');
  if (journaled === JOURNALED.done) return turn.go(next, STEP.tidy, () => 'journal: the move is done');
  if (journaled === JOURNALED.no) {
    if (!mayJournal(turn, home)) return null;
    const wanted = world.move(move);
    if (!isKeysMove(wanted)) world.from.set(next, home + 1, move);
    else if (wanted.from !== undefined) world.from.set(next, wanted.from + 1, move);
    world.journaled.set(next, JOURNALED.open, move);
  }
  return turn.go(next, turn.movesKeys ? STEP.askHome : afterJournal(world), () => `journal move ${move}`);
}

function mayJournal({ world, state, move, to }: Turn, home: number): boolean {
  const wanted = world.move(move);
  const moves = world.scope.moves.length;
  const before = wanted.after === undefined ? JOURNALED.done : world.journaled.get(state, wanted.after);
  if (before !== JOURNALED.done && before !== JOURNALED.aborted) return false;
  // The catalog hands out ids in the order in which it takes the locks.
  for (let later = move + 1; later < moves; later++) {
    if (world.journaled.get(state, later) !== JOURNALED.no) return false;
  }
  for (let other = 0; world.rules.slotLock && other < moves; other++) {
    if (world.journaled.get(state, other) !== JOURNALED.open) continue;
    if (world.lockOf(other) & world.lockOf(move)) return false;
  }
  if (world.scope.drain && world.rules.drainLocks && world.drain.get(state)) {
    if (to === world.scope.drain.shard) return false;
  }
  if (isKeysMove(wanted)) return wanted.from !== to;
  return home !== to && wanted.slots.every((slot) => world.map.get(state, slot) === home);
}

const lowestBit = (mask: number) => 31 - Math.clz32(mask & -mask);

const afterJournal = (world: World) => (world.scope.notes ? STEP.note : STEP.open);

/** Home: which of the keys are on the source; or, of one key, where it is. */
export function askHome(turn: Turn): Outcome {
  const { world, state, move, from } = turn;
  const wanted = world.move(move);
  if (!isKeysMove(wanted)) return null;
  const home = turn.knows(MOVER.home);
  const next = turn.clone();
  const at = (key: number) => world.record.get(state, home, key) || home + 1;
  if (wanted.from === undefined) {
    // The source is read once, under the lock; it does not change as long as the move is open.
    const [key = 0] = wanted.keys;
    turn.learn(next, MOVER.list, 1 << key);
    if (from >= 0) return turn.go(next, STEP.open, () => 'source: the catalog has it already');
    turn.learn(next, MOVER.source, at(key));
    return turn.go(next, STEP.source, () => `source: home ${nameOf(home)} says ${nameOf(at(key) - 1)}`);
  }
  let list = 0;
  for (const key of wanted.keys) {
    const implicit = home === from && !world.record.get(state, home, key);
    if (at(key) === from + 1 && (!implicit || world.value.get(state, home, key))) list |= 1 << key;
  }
  turn.learn(next, MOVER.list, list);
  const text = wanted.keys.filter((key) => has(list, key)).join(', ') || 'none';
  return turn.go(
    next,
    // Also when the move is through, and the home says so: the target will tell.
    list ? STEP.open : STEP.abortTarget,
    () => `source: home ${nameOf(home)} has on ${nameOf(from)} keys ${text}`,
  );
}

/** Catalog: the source of a key. */
export function source(turn: Turn): Outcome {
  const { world, state, move, from, to } = turn;
  if (world.journaled.get(state, move) !== JOURNALED.open) {
    return turn.goOn(STEP.end, () => 'source: refused by the catalog');
  }
  const next = turn.clone();
  const found = from < 0 ? turn.knows(MOVER.source) - 1 : from;
  if (from < 0 && found === to && world.rules.noSelfMove) {
    world.journaled.set(next, JOURNALED.aborted, move);
    return turn.go(next, STEP.end, () => 'source: it is there already, closed');
  }
  world.from.set(next, found + 1, move);
  if (found === to) return turn.go(next, STEP.abortTarget, () => 'source: nothing to move');
  return turn.go(next, STEP.open, () => `source: ${nameOf(found)}`);
}
