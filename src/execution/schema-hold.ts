import type { Catalog } from '../catalog/catalog';
import { MoveInProgressError } from '../errors';
import { jittered, pause } from './retry';

/** Who dies lets others, and moves, go on after so long. Several batches of D1 fit into it, each of 30 s at most. */
const HOLD_SECONDS = 120;
/** Over HTTP a renewal may wait 76 s for its turn: see `DEFAULT_PACE`. */
const RENEW_AFTER_MS = 20_000;

export interface HoldSettings {
  /** What it is for, for those who wait: `migration`. */
  readonly what: string;
  /** How long to wait for another one, and for a move that is under way. */
  readonly patienceMs: number;
  /** What to throw when another one takes longer. Default: MoveInProgressError. */
  readonly refusal?: (message: string, remedy: string) => Error;
  /** Once it is aborted nobody is waited for any more. */
  readonly signal?: AbortSignal | undefined;
  readonly holdSeconds?: number;
  readonly renewAfterMs?: number;
}

/** While one has it, nobody else changes the schema of the shards, and no rows are moved. */
export class SchemaHold {
  readonly #catalog: Catalog;
  readonly #settings: HoldSettings;
  readonly #by: string;
  readonly #seconds: number;
  readonly #renewAfterMs: number;
  #renewed = 0;
  #asking: Promise<Error | undefined> | undefined;
  /** Another one has had it meanwhile. */
  #lost: Error | undefined;

  private constructor(catalog: Catalog, settings: HoldSettings) {
    this.#catalog = catalog;
    this.#settings = settings;
    this.#by = `${settings.what} of ${new Date().toISOString()} (${crypto.randomUUID()})`;
    this.#seconds = settings.holdSeconds ?? HOLD_SECONDS;
    this.#renewAfterMs = settings.renewAfterMs ?? RENEW_AFTER_MS;
  }

  /**
   * Runs something while nobody else has it, and renews it until that is over: to look at a thousand shards takes minutes.
   *
   * @throws MoveInProgressError, or the `refusal`, when others take longer.
   */
  static async while<T>(catalog: Catalog, settings: HoldSettings, run: (hold: SchemaHold) => Promise<T>): Promise<T> {
    const hold = new SchemaHold(catalog, settings);
    await hold.#take();
    // A catalog that does not answer is asked again by the next round, or before the next change.
    const timer = setInterval(() => void hold.renew().catch(() => {}), hold.#renewAfterMs);
    try {
      return await run(hold);
    } finally {
      clearInterval(timer);
      await hold.#asking?.catch(() => {});
      // It expires.
      await catalog.releaseMoves(hold.#by).catch(() => {});
    }
  }

  /**
   * Has to be called before each shard is changed.
   *
   * @throws as `while` does, when it was lost: it could not be renewed for minutes.
   */
  async renew(): Promise<void> {
    if (!this.#lost && Date.now() - this.#renewed < this.#renewAfterMs) return;
    this.#lost ??= await this.#ask();
    if (this.#lost) throw this.#lost;
  }

  async #take(): Promise<void> {
    const deadline = Date.now() + this.#settings.patienceMs;
    for (let round = 1; ; round++) {
      const error = await this.#ask();
      if (!error) return;
      if (Date.now() >= deadline || this.#settings.signal?.aborted) throw error;
      await pause(jittered(20, round, 500));
    }
  }

  /** One question at a time, however many shards wait for its answer. */
  #ask(): Promise<Error | undefined> {
    this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askOnce(): Promise<Error | undefined> {
    const asked = Date.now();
    const { moves, heldBy } = await this.#catalog.holdAlone(this.#by, this.#seconds);
    if (heldBy !== null) {
      const { refusal = (message, remedy) => new MoveInProgressError(message, { remedy }) } = this.#settings;
      return refusal(
        `Another one is at work: ${heldBy}.`,
        `Try again when it is done; one that has died lets go after ${this.#seconds} s.`,
      );
    }
    const [open] = moves;
    if (open) {
      return new MoveInProgressError(`Move ${open.id} of rows to ${open.to} is under way. Nothing was changed.`, {
        remedy: 'Try again, or stop moves with db.$cluster.pause(job).',
      });
    }
    this.#renewed = asked;
    return undefined;
  }
}
