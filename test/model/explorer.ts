import { canonical, forSuccessors } from './actions.ts';
import { isRetired } from './drain.ts';
import { violation } from './invariants.ts';
import { unrecoverable } from './recovery.ts';
import { JOURNALED, type State } from './state.ts';
import { StateSet } from './state-set.ts';
import { show } from './trace.ts';
import type { World } from './world.ts';

export interface Result {
  readonly states: number;
  readonly transitions: number;
  readonly seconds: number;
  /** What has gone wrong, and the shortest way to it. */
  readonly violation: string | null;
  readonly trace: readonly string[];
  /** Whether there were more states than the limit. */
  readonly isBounded: boolean;
  /** Whether all can end, with the last move and the drain done: a scope in which nothing can would show nothing. */
  readonly isComplete: boolean;
}

interface Found {
  readonly violation: string;
  /** The state before the last action, and that action. */
  readonly before: number;
  readonly label: string;
  readonly after: State;
}

/** Breadth first, and exact: whole states are kept and compared. So a trace is as short as can be. */
export function explore(world: World, limit: number): Result {
  const begin = performance.now();
  const states = new StateSet(world.size);
  let transitions = 0;
  let found: Found | null = null;
  let isComplete = false;
  const first = canonical(world, world.start.slice());
  states.add(first, 0);
  const wrongAtOnce = violation(world, first);
  if (wrongAtOnce) found = { violation: wrongAtOnce, before: 0, label: 'start', after: first };

  let expanded = 0;
  for (; expanded < states.count && states.count <= limit && !found; expanded++) {
    const before = expanded;
    const state = states.get(before);
    isComplete ||= isDone(world, state);
    forSuccessors(world, state, (reached, label, wrong) => {
      transitions++;
      if (found) return;
      const next = canonical(world, reached);
      const isNew = states.add(next, before);
      const why =
        wrong ??
        (isNew ? (violation(world, next) ?? (world.scope.recovers ? unrecoverable(world, next) : null)) : null);
      if (why) found = { violation: why, before, label: label(), after: next };
    });
  }
  // TypeScript does not see that the callback has set it.
  const end = found as Found | null;
  return {
    states: states.count,
    transitions,
    seconds: (performance.now() - begin) / 1000,
    violation: end?.violation ?? null,
    trace: end ? [...traceTo(world, states, end.before), line(world, end.label, end.after)] : [],
    isBounded: !end && expanded < states.count,
    isComplete,
  };
}

function isDone(world: World, state: State): boolean {
  if (world.scope.drain && !isRetired(world, state)) return false;
  const moves = world.scope.moves.length;
  if (moves > 0 && world.journaled.get(state, moves - 1) !== JOURNALED.done) return false;
  return world.scope.moves.every((_, move) => world.journaled.get(state, move) !== JOURNALED.open);
}

const line = (world: World, label: string, after: State) => `${label}\n        ${show(world, after)}`;

/** The actions that lead to a state: those that lead from each of its ancestors to the next. */
function traceTo(world: World, states: StateSet, last: number): string[] {
  const way = [last];
  for (let at = last; at !== 0; ) {
    at = states.parent(at);
    way.unshift(at);
  }
  return way.slice(1).map((id, index) => {
    const after = states.get(id);
    let label: string | null = null;
    forSuccessors(world, states.get(way[index] as number), (reached, text) => {
      if (label === null && isEqual(canonical(world, reached.slice()), after)) label = text();
    });
    return line(world, label ?? '?', after);
  });
}

const isEqual = (a: State, b: State) => a.every((byte, index) => byte === b[index]);
