/** The program of a mover. One step is one call; a mover may stop for ever before each of them. */
import { abortCatalog, abortSource, abortTarget, mayAbort } from './abort.ts';
import { close, home, thaw, tidy } from './finish.ts';
import { askHome, journal, source } from './journal.ts';
import { land, release } from './land.ts';
import { note, scanEnd, scanInsert, scanRead } from './scan.ts';
import { check, copyRead, copyStage, freeze, open } from './stage.ts';
import type { Emit, State } from './state.ts';
import { type Outcome, STEP, Turn } from './turn.ts';
import type { World } from './world.ts';

const PROGRAM: Readonly<Record<number, (turn: Turn) => Outcome>> = {
  [STEP.journal]: journal,
  [STEP.askHome]: askHome,
  [STEP.source]: source,
  [STEP.note]: note,
  [STEP.scanRead]: scanRead,
  [STEP.scanInsert]: scanInsert,
  [STEP.scanEnd]: scanEnd,
  [STEP.open]: open,
  [STEP.freeze]: freeze,
  [STEP.copyRead]: copyRead,
  [STEP.copyStage]: copyStage,
  [STEP.check]: check,
  [STEP.land]: land,
  [STEP.release]: release,
  [STEP.home]: home,
  [STEP.thaw]: thaw,
  [STEP.close]: close,
  [STEP.tidy]: tidy,
  [STEP.abortTarget]: abortTarget,
  [STEP.abortSource]: abortSource,
  [STEP.abortCatalog]: abortCatalog,
};

/** @param isFree Whether the mover may also do what it need not: give up, or rely on another's scan. */
export function runMover(world: World, state: State, move: number, row: number, emit: Emit, isFree: boolean): void {
  const turn = new Turn(world, state, move, row);
  const say = (outcome: Outcome | undefined) => {
    if (outcome) emit(outcome.next, outcome.label, outcome.wrong);
  };
  const { step } = turn;
  if (step === STEP.end) return;
  if (isFree && world.scope.aborts !== false && mayAbort(step)) say(turn.goOn(STEP.abortTarget, () => 'gives up'));
  // It is for FREEZE to see that the slots are noted.
  if (isFree && step === STEP.note) say(turn.goOn(STEP.open, () => 'relies on a scan that it has not seen'));
  say(PROGRAM[step]?.(turn));
}
