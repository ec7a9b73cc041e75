import { bound, sql } from '../sql/tag';
import type { Cargos } from './cargos';
import { type MoveIo, raisedBy } from './io';
import type { PlacedMove } from './move-sql';
import { unreleased } from './refusals';
import * as step from './steps';

/** How often RELEASE is made anew after the schema of the source has changed. */
const TRIES = 3;

/** Rows of each table that have landed, by its name. */
export type LandedCounts = Readonly<Record<string, number>>;

export interface FinishingParts {
  readonly io: MoveIo;
  readonly cargos: Cargos;
  readonly tell: (move: PlacedMove, phase: string) => void;
}

/** RELEASE, HOME and THAW of a move that has landed: from here on there is only forward. */
export async function finishLanded(parts: FinishingParts, move: PlacedMove, landed: LandedCounts): Promise<void> {
  await release(parts, move, landed);
  await tellHome(parts, move);
  parts.tell(move, 'thaw');
  await parts.io.run(move.to, step.thaw(move));
}

async function release({ io, cargos, tell }: FinishingParts, move: PlacedMove, landed: LandedCounts): Promise<void> {
  tell(move, 'release');
  for (let tries = 1; ; tries++) {
    const cargo = await cargos.forMove(move);
    const expected = cargo.tables.map((table) => landed[table.name] ?? 0);
    try {
      await io.run(move.from, step.release(move, cargo, expected, false));
      return;
    } catch (error) {
      const raised = raisedBy(error);
      // Another mover has released it, or the answer was lost.
      if (raised?.kind === 'PHASE') return;
      if (raised?.kind !== 'SCHEMA' || tries === TRIES) throw unreleased(move, landed, error);
      cargos.forget();
    }
  }
}

/** A home that is a third shard learns the new place; until then it leads to the source, which leads on. */
async function tellHome({ io, tell }: FinishingParts, move: PlacedMove): Promise<void> {
  if (move.kind === 'slots' || move.home === move.from || move.home === move.to) return;
  tell(move, 'home');
  const [rows = []] = await io.run(move.from, [
    bound(sql`select key, slot from _shard_move_keys where move = ${move.id}`),
  ]);
  const keys = rows.map((row): step.SlottedKey => [String(row.key), Number(row.slot)]);
  await io.run(move.home, step.home(move, keys));
}
