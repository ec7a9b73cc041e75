/** After RELEASE: the home learns of it, the target takes writes, the catalog and the source close the move. */
import { has, JOURNALED, nameOf, PHASE } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';
import { MOVER } from './world.ts';

export function home(turn: Turn): Outcome {
  const { world, state, from, to, move, list } = turn;
  const shard = turn.knows(MOVER.home);
  if (!turn.movesKeys || shard === from || shard === to) return turn.goOn(STEP.thaw, () => 'home: no third shard');
  const next = turn.clone();
  for (let key = 0; key < world.keys; key++) {
    const record = world.record.get(state, shard, key);
    const isOld = record !== 0 && world.recordMove.get(state, shard, key) < move + 1;
    const isMeant = world.rules.homeFollowsList
      ? has(list, key)
      : has(world.lockOf(move), world.slotOf(key)) && record === from + 1;
    if (!isMeant || (world.rules.homeFence && !isOld)) continue;
    world.record.set(next, to + 1, shard, key);
    world.recordMove.set(next, move + 1, shard, key);
  }
  return turn.go(next, STEP.thaw, () => `home ${nameOf(shard)} now says ${nameOf(to)}`);
}

export function thaw(turn: Turn): Outcome {
  const { world, to } = turn;
  const phase = turn.phaseAt(to);
  const next = turn.clone();
  if (phase === PHASE.landed) turn.setPhase(next, to, world.rules.tombstones ? PHASE.closed : PHASE.absent);
  const step = phase === PHASE.absent && world.rules.tombstones ? STEP.end : STEP.close;
  return turn.go(next, step, () => `thaw on ${nameOf(to)}`);
}

export function close(turn: Turn): Outcome {
  const { world, state, to, move } = turn;
  const next = turn.clone();
  if (world.journaled.get(state, move) === JOURNALED.open) {
    world.journaled.set(next, JOURNALED.done, move);
    for (let slot = 0; slot < world.scope.owner.length; slot++) {
      if (has(world.slotMask(move), slot)) world.map.set(next, to, slot);
    }
  }
  return turn.go(next, STEP.tidy, () => 'close in the catalog');
}

export function tidy(turn: Turn): Outcome {
  const { world, from } = turn;
  const next = turn.clone();
  if (from >= 0 && turn.phaseAt(from) === PHASE.released) {
    turn.setPhase(next, from, world.rules.tombstones ? PHASE.closed : PHASE.absent);
  }
  return turn.go(next, STEP.end, () => `tidy on ${from < 0 ? '-' : nameOf(from)}`);
}
