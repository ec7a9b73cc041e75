import { arriveLate, collect, expireNotes, expirePins, join } from './background.ts';
import { drain } from './drain.ts';
import { runMover } from './mover.ts';
import { claim, write } from './routers.ts';
import { scatterRead, scatterWrite } from './scatters.ts';
import type { Emit, State } from './state.ts';
import type { World } from './world.ts';

/** Everything that can happen next. One action is one call that a shard or the catalog answers, as one batch. */
export function forSuccessors(world: World, state: State, emit: Emit): void {
  const { scope, rules } = world;
  for (let move = 0; move < scope.moves.length; move++) {
    for (let row = move * world.movers; row < (move + 1) * world.movers; row++) {
      // Of movers in the same place one is enough.
      if (row > move * world.movers && compareMovers(world, state, row - 1) === 0) continue;
      runMover(world, state, move, row, emit, true);
    }
  }
  scope.claims?.forEach((_, row) => {
    claim(world, state, row, emit);
  });
  scope.scatters?.forEach((_, row) => {
    scatterRead(world, state, row, emit);
  });
  scope.scatterWrites?.forEach((_, row) => {
    scatterWrite(world, state, row, emit);
  });
  write(world, state, emit);
  if (scope.collect) collect(world, state, emit);
  if (scope.pinsExpire) expirePins(world, state, emit);
  if (scope.notesExpire) expireNotes(world, state, emit);
  if (scope.notes && !rules.freshGeneration) arriveLate(world, state, emit);
  if (scope.joins) join(world, state, emit);
  if (scope.drain) drain(world, state, emit);
}

/** Orders a mover and the next one by all that they know. */
function compareMovers(world: World, state: State, row: number): number {
  const { offset, columns } = world.mover;
  const start = offset + row * columns;
  for (let at = start; at < start + columns; at++) {
    const difference = (state[at] as number) - (state[at + columns] as number);
    if (difference) return difference;
  }
  return 0;
}

/** Movers of one move are interchangeable: states that differ by their order are one. Changes `state`. */
export function canonical(world: World, state: State): State {
  const { offset, columns } = world.mover;
  for (let move = 0; move < world.scope.moves.length; move++) {
    const first = move * world.movers;
    for (let last = first + world.movers - 1; last > first; last--) {
      for (let row = first; row < last; row++) {
        if (compareMovers(world, state, row) <= 0) continue;
        const start = offset + row * columns;
        const mover = state.slice(start, start + columns);
        state.copyWithin(start, start + columns, start + 2 * columns);
        state.set(mover, start + columns);
      }
    }
  }
  return state;
}
