import { MoveConflictError, MoveRefusedError } from '../errors';
import { bound, sql } from '../sql/tag';
import type { Cargos } from './cargos';
import type { Cargo } from './carry';
import { type Copied, copyScope, findConflict } from './copy';
import { type MoveIo, raisedBy } from './io';
import type { KeyLists } from './key-lists';
import type { Phase, PlacedMove } from './move-sql';
import { throughPins } from './pinned';
import { doesNotLetGo, explained, lacksParents, notOwner, refusedBy } from './refusals';
import * as step from './steps';

/** From so many rows on, landing is tried first, so that it cannot run into D1's own limit of 30 s. */
const REHEARSED_ROWS = 20_000;
/** How often a batch is made anew after the schema of a shard has changed, or the list of keys was lost. */
const TRIES = 3;

/** What came of the steps up to the commit point; `copied` where this mover itself has landed the rows. */
export interface Landing {
  readonly phase: Phase;
  readonly copied?: Copied;
}

export interface LandingParts {
  readonly io: MoveIo;
  readonly cargos: Cargos;
  readonly keyLists: KeyLists;
  /** A move that would hold writers longer is given up before it lands. */
  readonly frozenMs: number;
  readonly tell: (move: PlacedMove, phase: string) => void;
}

/** NOTE, OPEN, FREEZE, COPY, CHECK and LAND of one move: all of it can still be given up. */
export class BeforeLanding {
  /** Names what is staged: another one with each try, so that nothing of an earlier one is mixed in. */
  #run = '';

  constructor(
    readonly parts: LandingParts,
    readonly move: PlacedMove,
    /** Of a move of keys that has not frozen them yet. */
    readonly keys: readonly step.SlottedKey[],
  ) {}

  /** The phase that the target is found in, whoever has brought it there; `aborted` when the source was given up. */
  async land(): Promise<Landing> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#tryLanding();
      } catch (error) {
        const raised = raisedBy(error);
        const isStale = raised?.kind === 'SCHEMA' || raised?.kind === 'UNNOTED';
        if (!isStale || tries === TRIES) throw explained(this.move, error);
        this.parts.cargos.forget();
        this.parts.keyLists.forget();
      }
    }
  }

  async #tryLanding(): Promise<Landing> {
    const { move } = this;
    const { io, cargos, keyLists, tell } = this.parts;
    const cargo = await cargos.forMove(move);
    if (move.kind === 'slots') {
      tell(move, 'note');
      if (!(await keyLists.make({ shard: move.from, ...move }, cargo))) throw notOwner(move);
    }
    tell(move, 'open');
    const opened = await this.#enter(move.to, step.open(move, io));
    if (opened !== 'staging') return { phase: opened };
    tell(move, 'freeze');
    await io.catalog.progress(move.id, { phase: 'freeze' });
    const frozenAt = Date.now();
    const frozen = await this.#enter(move.from, step.freeze(move, io, cargo, this.keys));
    if (frozen !== 'frozen') return { phase: frozen === 'closed' ? 'aborted' : await this.#targetPhase() };
    tell(move, 'copy');
    this.#run = crypto.randomUUID();
    const copied = await copyScope(io, move, cargo, this.#run, (rows, bytes) => this.#inTime(frozenAt, rows, bytes));
    tell(move, 'check');
    await this.#check(cargo, copied, frozenAt);
    tell(move, 'land');
    await this.#commit(cargo, copied);
    return { phase: 'landed', copied };
  }

  async #targetPhase(): Promise<Phase> {
    const [[row] = []] = await this.parts.io.run(this.move.to, [step.readSide(this.move, 'in')]);
    return (row?.phase ?? null) as Phase;
  }

  /** OPEN and FREEZE wait for writes to all shards that are under way. */
  async #enter(shard: string, statements: ReturnType<typeof step.open>): Promise<Phase> {
    const { io } = this.parts;
    return throughPins(
      io,
      async () => ((await io.run(shard, statements)).at(-1)?.[0]?.phase ?? null) as Phase,
      // Writes to all shards that come without pause would keep the move out for ever: new ones wait for it now.
      () => io.run(shard, step.takeTurn(this.move.id)),
    );
  }

  /** RELEASE is tried on the source, and a large landing on the target: what has landed must be released. */
  async #check(cargo: Cargo, { counts, rows, bytes }: Copied, frozenAt: number): Promise<void> {
    const { move } = this;
    await this.#rehearse(move.from, step.release(move, cargo, counts, true)).catch((error: unknown) => {
      throw doesNotLetGo(move, cargo, error) ?? error;
    });
    if (rows > REHEARSED_ROWS) {
      const statements = step.land(move, cargo, this.#run, counts);
      await this.#rehearse(move.to, [...statements, bound(sql`select json_extract('{}', ${step.REHEARSED})`)]).catch(
        async (error: unknown) => {
          throw await this.#landingError(cargo, error);
        },
      );
    }
    this.#inTime(frozenAt, rows, bytes);
  }

  #inTime(frozenAt: number, rows: number, bytes: number): void {
    const { frozenMs } = this.parts;
    if (Date.now() - frozenAt <= frozenMs) return;
    const size = `${rows.toLocaleString('en')} rows of ${(bytes / 1e6).toFixed(1)} MB`;
    throw new MoveRefusedError(`${size} and what is left would be frozen for more than ${frozenMs} ms.`, {
      remedy: 'Move fewer slots at a time, make the rows of the key fewer, or raise `frozenMs`.',
    });
  }

  async #rehearse(shard: string, statements: ReturnType<typeof step.open>): Promise<void> {
    try {
      await this.parts.io.run(shard, statements);
    } catch (error) {
      if (raisedBy(error)?.kind !== 'REHEARSED') throw error;
    }
  }

  async #commit(cargo: Cargo, { counts }: Copied): Promise<void> {
    const { move } = this;
    try {
      await this.parts.io.run(move.to, step.land(move, cargo, this.#run, counts));
    } catch (error) {
      const raised = raisedBy(error);
      // Its answer was lost, and it was repeated.
      if (raised?.kind === 'PHASE' && raised.said === 'landed') return;
      throw await this.#landingError(cargo, error);
    }
  }

  async #landingError(cargo: Cargo, error: unknown): Promise<unknown> {
    const { move } = this;
    if (error instanceof Error && error.message.includes('FOREIGN KEY constraint failed')) {
      return lacksParents(move, error);
    }
    return (await this.#conflict(cargo, error)) ?? refusedBy(move.to, 'does not take a row', error) ?? error;
  }

  async #conflict(cargo: Cargo, error: unknown): Promise<MoveConflictError | undefined> {
    if (!(error instanceof Error) || !error.message.includes('UNIQUE constraint failed')) return undefined;
    const { to } = this.move;
    for (const table of cargo.tables) {
      const found = await findConflict(this.parts.io, this.move, table, this.#run);
      if (!found) continue;
      return new MoveConflictError(
        `${to} has another row of ${table.name} with ${found.columns.join(', ')} = ${found.values.slice(1, -1)}. Nothing was moved.`,
        { tables: [table.name], shard: to, cause: error },
      );
    }
    return new MoveConflictError(`${to} refused a row: ${error.message}. Nothing was moved.`, {
      shard: to,
      cause: error,
    });
  }
}
