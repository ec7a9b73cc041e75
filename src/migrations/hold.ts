import type { Catalog } from '../catalog/catalog';
import { MoveInProgressError } from '../errors';
import { jittered, pause } from '../execution/retry';
import { MigrationRefusedError } from './errors';

/** A run that dies lets others, and moves, go on after so long. Several batches of D1 fit into it, each of 30 s at most. */
const HOLD_SECONDS = 120;
const RENEW_AFTER_MS = 20_000;

/** While one run has it, no other one does, and no rows are moved. */
export class MigrationHold {
  #renewed = Date.now();

  private constructor(
    readonly catalog: Catalog,
    readonly by: string,
  ) {}

  /**
   * Waits for another run, and for a move that is under way.
   *
   * @throws MigrationRefusedError, MoveInProgressError when they take longer.
   */
  static async take(catalog: Catalog, patienceMs: number): Promise<MigrationHold> {
    const hold = new MigrationHold(catalog, `migration of ${new Date().toISOString()} (${crypto.randomUUID()})`);
    const deadline = Date.now() + patienceMs;
    for (let round = 1; ; round++) {
      const error = await hold.#ask();
      if (!error) return hold;
      if (Date.now() >= deadline) throw error;
      await pause(jittered(20, round, 500));
    }
  }

  /**
   * Has to be called before each shard is changed.
   *
   * @throws MigrationRefusedError, MoveInProgressError when it was lost, because this run was held up for minutes.
   */
  async renew(): Promise<void> {
    if (Date.now() - this.#renewed < RENEW_AFTER_MS) return;
    const error = await this.#ask();
    if (error) throw error;
  }

  async release(): Promise<void> {
    // It expires.
    await this.catalog.releaseMoves(this.by).catch(() => {});
  }

  async #ask(): Promise<Error | undefined> {
    const asked = Date.now();
    const { moves, heldBy } = await this.catalog.holdAlone(this.by, HOLD_SECONDS);
    if (heldBy !== null) {
      return new MigrationRefusedError(`Another one is at work: ${heldBy}.`, [], {
        remedy: `Try again when it is done; one that has died lets go after ${HOLD_SECONDS} s.`,
      });
    }
    const [open] = moves;
    if (open) {
      return new MoveInProgressError(`Move ${open.id} of rows to ${open.to} is under way.`, {
        remedy: 'Try again, or stop moves with db.$cluster.pause(job).',
      });
    }
    this.#renewed = asked;
    return undefined;
  }
}
