import type { Move } from '../catalog/journal';
import { MoveRefusedError } from '../errors';
import { slotOf } from '../placement/slots';
import { bound, sql } from '../sql/tag';
import { finishLanded, type LandedCounts } from './after-landing';
import { BeforeLanding, type Landing } from './before-landing';
import { Cargos } from './cargos';
import { type MoveIo, raisedBy } from './io';
import { KeyLists } from './key-lists';
import type { Phase, PlacedMove } from './move-sql';
import { explained } from './refusals';
import type { MoveSpec } from './spec';
import * as step from './steps';

export interface MoveOutcome {
  /** `nothing`: the rows were there already. */
  readonly state: 'done' | 'aborted' | 'nothing';
  readonly rows: number;
  readonly bytes: number;
}

/**
 * Drives one journaled move to its end, whoever has begun it and however far that one came: every batch tells the phase that
 * it has found, and the program goes on from there. Before LAND what fails is aborted; after it there is only forward.
 */
export class Mover {
  readonly cargos: Cargos;
  readonly keyLists: KeyLists;

  constructor(
    readonly io: MoveIo,
    spec: MoveSpec,
    /** A move that would hold writers longer is given up before it lands. */
    readonly frozenMs: number,
  ) {
    this.cargos = new Cargos(io, spec);
    this.keyLists = new KeyLists(io);
  }

  /** Drives a move that another mover may have begun. @throws As {@link begin} does. */
  async resume(id: number): Promise<MoveOutcome> {
    const found = await this.io.catalog.move(id);
    if (found?.state !== 'open') return outcomeOf(found);
    return this.#drive(found, async (move) => {
      // Whoever drove it before may be further. Looking costs nothing that lasts.
      const known = await this.#phases(move);
      if (known.in === 'landed' || known.in === 'closed' || known.in === 'aborted') return { phase: known.in };
      if (known.out === 'closed') return { phase: 'aborted' };
      if (move.kind === 'keys' && move.key === null && known.out !== 'frozen') {
        const error = new MoveRefusedError('The move was interrupted before its keys were listed.', {
          remedy: 'Move them again.',
        });
        return { phase: await this.#abortUnlessLanded(move, error) };
      }
      return this.#land(move, []);
    });
  }

  /**
   * Drives a move from its start. Where another mover was here meanwhile, OPEN or FREEZE tells.
   *
   * @param keys The keys of a move of keys.
   * @throws MoveRefusedError, MoveConflictError when it was aborted; other errors leave it to be driven again.
   */
  async begin(move: Move, keys: readonly string[]): Promise<MoveOutcome> {
    return this.#drive(move, (placed) => this.#land(placed, keys));
  }

  async #drive(found: Move, untilLanded: (move: PlacedMove) => Promise<Landing>): Promise<MoveOutcome> {
    const { catalog } = this.io;
    const move = await this.#source(found);
    if (move.from === move.to) {
      // Nothing was written anywhere.
      await catalog.close(move.id);
      return { state: 'nothing', rows: 0, bytes: 0 };
    }
    try {
      const { phase, copied } = await untilLanded(move);
      if (phase === 'aborted') await this.#abort(move, move.error ?? 'It was given up before.');
      if (phase === 'landed' || phase === 'closed') {
        const counts = copied?.landed ?? (await this.#phases(move)).counts;
        const size = { rows: sumOf(counts), bytes: copied?.bytes ?? move.bytes };
        await this.#finish(move, phase, counts, size);
        return { state: 'done', ...size };
      }
      return outcomeOf(await catalog.move(move.id));
    } catch (error) {
      await catalog.progress(move.id, { error: textOf(error) }).catch(() => {});
      throw error;
    }
  }

  /** SOURCE: where a key is, by its home's word under the lock. A move of many keys is journaled with it. */
  async #source(move: Move): Promise<PlacedMove> {
    if (move.from !== null) return move as PlacedMove;
    this.#tell(move, 'source');
    const [[row] = []] = await this.io.run(move.home, [
      bound(sql`select coalesce((select at from _shard_keys where keyspace = ${move.keyspace} and key = ${move.key}),
        ${move.home}) as at`),
    ]);
    return (await this.io.catalog.source(move.id, String(row?.at))) as PlacedMove;
  }

  async #phases(move: PlacedMove): Promise<{ readonly in: Phase; readonly out: Phase; readonly counts: LandedCounts }> {
    const [[[target] = []], [[source] = []]] = await Promise.all([
      this.io.run(move.to, [step.readSide(move, 'in')]),
      this.io.run(move.from, [step.readSide(move, 'out')]),
    ]);
    return {
      in: (target?.phase ?? null) as Phase,
      out: (source?.phase ?? null) as Phase,
      counts: JSON.parse(String(target?.counts ?? '{}')) as LandedCounts,
    };
  }

  async #land(move: PlacedMove, keys: readonly string[]): Promise<Landing> {
    const list = keys.length > 0 ? keys : move.key === null ? [] : [move.key];
    const slotted = list.map((key): step.SlottedKey => [key, slotOf(key)]);
    try {
      return await new BeforeLanding(this.#parts, move, slotted).land();
    } catch (error) {
      // The shard knows that it is closed, and no more.
      if (raisedBy(error)?.kind === 'CLOSED') return { phase: null };
      // A landing whose answer was lost has landed: then there is nothing to give up.
      return { phase: await this.#abortUnlessLanded(move, error) };
    }
  }

  get #parts() {
    const { io, cargos, keyLists, frozenMs } = this;
    return { io, cargos, keyLists, frozenMs, tell: (move: Move, phase: string) => this.#tell(move, phase) };
  }

  /** RELEASE, HOME, THAW, CLOSE, TIDY: all that is left once the move has landed. */
  async #finish(
    move: PlacedMove,
    phase: 'landed' | 'closed',
    landed: LandedCounts,
    size: { readonly rows: number; readonly bytes: number },
  ): Promise<void> {
    if (phase === 'landed') await finishLanded(this.#parts, move, landed);
    this.#tell(move, 'close');
    await this.io.catalog.close(move.id, size);
    this.#tell(move, 'tidy');
    await this.io.run(move.from, step.tidy(move));
  }

  /** @throws The error, once the move is given up. */
  async #abortUnlessLanded(move: PlacedMove, error: unknown): Promise<Phase> {
    const phase = await this.#abort(move, textOf(error));
    if (phase !== 'aborted') return phase;
    throw explained(move, error);
  }

  /** ABORT, target first: what has landed is not given up, as the phase says that comes back. */
  async #abort(move: PlacedMove, error: string): Promise<Phase> {
    this.#tell(move, 'abort');
    const [target = []] = (await this.io.run(move.to, step.abortTarget(move, this.io))).slice(-1);
    const phase = (target[0]?.phase ?? null) as Phase;
    if (phase !== 'aborted') return phase;
    await this.io.run(move.from, step.abortSource(move, this.io));
    await this.io.catalog.abort(move.id, error);
    return phase;
  }

  #tell({ id, keyspace, from, to }: Move, phase: string): void {
    this.io.onStep({ id: String(id), phase, keyspace, from: from ?? '', to });
  }
}

const outcomeOf = (move: Move | undefined): MoveOutcome => ({
  state: move?.state === 'aborted' ? 'aborted' : 'done',
  rows: move?.rows ?? 0,
  bytes: move?.bytes ?? 0,
});

const sumOf = (counts: LandedCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
