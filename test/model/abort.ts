/** ABORT: the target, then the source, then the catalog. The rows that it leaves refuse late calls of other movers. */
import { clearStage } from './land.ts';
import { JOURNALED, nameOf, PHASE } from './state.ts';
import { type Outcome, STEP, type Turn } from './turn.ts';

/** From NOTE to LAND. */
export const mayAbort = (step: number): boolean => step >= STEP.note && step <= STEP.land;

export function abortTarget(turn: Turn): Outcome {
  const { world, to, move } = turn;
  const phase = turn.phaseAt(to);
  if (phase !== PHASE.absent && phase !== PHASE.staging) return turn.followTarget('abort refused', phase);
  if (phase === PHASE.absent && turn.isBelowFloor(to)) {
    return turn.goOn(STEP.end, () => `abort on ${nameOf(to)}: below its floor`);
  }
  const next = turn.clone();
  turn.setPhase(next, to, world.rules.tombstones ? PHASE.aborted : PHASE.absent);
  clearStage(turn, next);
  world.targetList.set(next, 0, move);
  return turn.go(next, STEP.abortSource, () => `abort on ${nameOf(to)}`);
}

export function abortSource(turn: Turn): Outcome {
  const { world, from, to, move } = turn;
  if (from < 0 || from === to) return turn.goOn(STEP.abortCatalog, () => 'abort: no source');
  const phase = turn.phaseAt(from);
  const next = turn.clone();
  const closed = world.rules.tombstones ? PHASE.closed : PHASE.absent;
  if (phase === PHASE.frozen || (phase === PHASE.absent && !turn.isBelowFloor(from))) turn.setPhase(next, from, closed);
  if (phase === PHASE.frozen) world.sourceList.set(next, 0, move);
  if (!world.rules.abortKeepsScope) world.noted.set(next, 0, from);
  const wrong = phase === PHASE.released ? 'abort after release' : null;
  return turn.go(next, STEP.abortCatalog, () => `abort on ${nameOf(from)}`, wrong);
}

export function abortCatalog(turn: Turn): Outcome {
  const { world, state, move } = turn;
  const next = turn.clone();
  if (world.journaled.get(state, move) === JOURNALED.open) world.journaled.set(next, JOURNALED.aborted, move);
  return turn.go(next, STEP.end, () => 'abort in the catalog');
}
