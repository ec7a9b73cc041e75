import type { Move } from '../catalog/journal';
import { MoveConflictError, MoveRefusedError } from '../errors';
import { slotOf } from '../placement/slots';
import { bound, name, sql } from '../sql/tag';
import { type Cargo, planCargo } from './carry';
import { type Copied, copyScope, findConflict } from './copy';
import { type MoveIo, raisedBy } from './io';
import type { Phase, PlacedMove } from './move-sql';
import { throughPins } from './pinned';
import { doesNotLetGo, explained, lacksParents, notOwner, refusedBy, unreleased } from './refusals';
import { noteKeys } from './scan';
import { readSchemaStatements, type ShardSchema, schemaOf } from './schema';
import type { MoveSpec } from './spec';
import * as step from './steps';

export interface MoveOutcome {
  /** `nothing`: the rows were there already. */
  readonly state: 'done' | 'aborted' | 'nothing';
  readonly rows: number;
  readonly bytes: number;
}

/** From so many rows on, landing is tried first, so that it cannot run into D1's own limit of 30 s. */
const REHEARSED_ROWS = 20_000;
/** How often a batch is made anew after the schema of a shard has changed, or the list of keys was lost. */
const TRIES = 3;

/**
 * Drives one journaled move to its end, whoever has begun it and however far that one came: every batch tells the phase that
 * it has found, and the program goes on from there. Before LAND what fails is aborted; after it there is only forward.
 */
export class Mover {
  /** Names what is staged: another one with each try, so that nothing of an earlier one is mixed in. */
  #run = '';
  readonly #cargos = new Map<string, Cargo>();

  constructor(
    readonly io: MoveIo,
    readonly spec: MoveSpec,
    /** A move that would hold writers longer is given up before it lands. */
    readonly frozenMs: number,
  ) {}

  /**
   * @param keys The keys of a move of keys that has not frozen them yet.
   * @throws MoveRefusedError, MoveConflictError when it was aborted; other errors leave it to be driven again.
   */
  async drive(id: number, keys: readonly string[] = []): Promise<MoveOutcome> {
    const { catalog } = this.io;
    const found = await catalog.move(id);
    if (found?.state !== 'open') return outcomeOf(found);
    const move = await this.#source(found);
    if (move.from === move.to) {
      // Nothing was written anywhere.
      await catalog.close(move.id);
      return { state: 'nothing', rows: 0, bytes: 0 };
    }
    try {
      const phase = await this.#untilLanded(move, keys);
      if (phase === 'aborted') await this.#abort(move, move.error ?? 'It was given up before.');
      if (phase === 'landed' || phase === 'closed') await this.#finish(move, phase);
      return outcomeOf(await catalog.move(id));
    } catch (error) {
      await catalog.progress(id, { error: textOf(error) }).catch(() => {});
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

  /** The phase of the target once there is no way back, or `aborted`. */
  async #untilLanded(move: PlacedMove, keys: readonly string[]): Promise<Phase | 'gone'> {
    // Whoever drove it before may be further. Looking costs nothing that lasts.
    const known = await this.#phases(move);
    if (known.in === 'landed' || known.in === 'closed' || known.in === 'aborted') return known.in;
    if (known.out === 'closed') return 'aborted';
    try {
      return await this.#land(move, await this.#keysOf(move, known.out, keys));
    } catch (error) {
      if (raisedBy(error)?.kind === 'CLOSED') return 'gone';
      // A landing whose answer was lost has landed: then there is nothing to give up.
      return this.#abortUnlessLanded(move, error);
    }
  }

  async #phases(move: PlacedMove): Promise<{ readonly in: Phase; readonly out: Phase; readonly counts: string }> {
    const read = async (shard: string, side: string) => {
      const statement = sql`select phase, counts from _shard_moves where id = ${move.id} and side = ${side}`;
      const [[row] = []] = await this.io.run(shard, [bound(statement)]);
      return row;
    };
    const [target, source] = await Promise.all([read(move.to, 'in'), read(move.from, 'out')]);
    return {
      in: (target?.phase ?? null) as Phase,
      out: (source?.phase ?? null) as Phase,
      counts: String(target?.counts ?? '{}'),
    };
  }

  async #keysOf(move: PlacedMove, out: Phase, keys: readonly string[]): Promise<readonly step.SlottedKey[]> {
    const list = keys.length > 0 ? keys : move.key === null ? [] : [move.key];
    if (move.kind === 'keys' && list.length === 0 && out !== 'frozen') {
      throw new MoveRefusedError('The move was interrupted before its keys were listed.', {
        remedy: 'Move them again.',
      });
    }
    return list.map((key) => [key, slotOf(key)]);
  }

  async #land(move: PlacedMove, keys: readonly step.SlottedKey[]): Promise<Phase> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#tryLanding(move, keys);
      } catch (error) {
        const raised = raisedBy(error);
        const isStale = raised?.kind === 'SCHEMA' || raised?.kind === 'UNNOTED';
        if (!isStale || tries === TRIES) throw explained(move, error);
        this.#cargos.clear();
      }
    }
  }

  async #tryLanding(move: PlacedMove, keys: readonly step.SlottedKey[]): Promise<Phase> {
    const { io } = this;
    const cargo = await this.#cargo(move);
    if (move.kind === 'slots') {
      this.#tell(move, 'note');
      if (!(await noteKeys(io, { shard: move.from, ...move }, cargo))) throw notOwner(move);
    }
    this.#tell(move, 'open');
    const opened = await this.#enter(move.to, move.id, step.open(move, io));
    if (opened !== 'staging') return opened;
    this.#tell(move, 'freeze');
    await io.catalog.progress(move.id, { phase: 'freeze' });
    const frozenAt = Date.now();
    const frozen = await this.#enter(move.from, move.id, step.freeze(move, io, cargo, keys));
    if (frozen !== 'frozen') return frozen === 'closed' ? 'aborted' : (await this.#phases(move)).in;
    this.#tell(move, 'copy');
    this.#run = crypto.randomUUID();
    const copied = await copyScope(io, move, cargo, this.#run, (rows, bytes) => this.#inTime(frozenAt, rows, bytes));
    this.#tell(move, 'check');
    await this.#check(move, cargo, copied, frozenAt);
    this.#tell(move, 'land');
    await this.#commit(move, cargo, copied);
    await io.catalog.progress(move.id, { phase: 'land', rows: copied.rows, bytes: copied.bytes });
    return 'landed';
  }

  async #cargo(move: PlacedMove): Promise<Cargo> {
    const cargo = await this.cargo(move.keyspace, move.from, move.to);
    await this.#checkUnusable(move, cargo);
    return cargo;
  }

  /** What goes along from one shard to another. Batches check that the schemas are still those: SCHEMA if not. */
  async cargo(keyspace: string, from: string, to: string): Promise<Cargo> {
    const key = JSON.stringify([keyspace, from, to]);
    const known = this.#cargos.get(key);
    if (known) return known;
    const [source, target] = await Promise.all([this.schema(from), this.schema(to)]);
    const cargo = planCargo(this.spec, keyspace, source, target);
    this.#cargos.set(key, cargo);
    return cargo;
  }

  async schema(shard: string): Promise<ShardSchema> {
    return schemaOf(await this.io.run(shard, readSchemaStatements));
  }

  /** Tables without a shard key: their rows belong to nobody, so that they could not go along. */
  async #checkUnusable({ from }: PlacedMove, { unusable }: Cargo): Promise<void> {
    if (unusable.length === 0) return;
    const found = await this.io.run(
      from,
      unusable.map((table) => bound(sql`select exists (select 1 from ${name(table)}) as n`)),
    );
    const [table] = unusable.filter((_, i) => found[i]?.[0]?.n === 1);
    if (table === undefined) return;
    throw new MoveRefusedError(`${table} has rows and no shard key: which of them belong to the move cannot be told.`, {
      tables: [table],
      remedy: `Write tables: { ${table}: { key: '<column>' } }, { replicated: true } or { shard: '${from}' }.`,
    });
  }

  /** OPEN and FREEZE wait for writes to all shards that are under way. */
  async #enter(shard: string, id: number, statements: ReturnType<typeof step.open>): Promise<Phase> {
    return throughPins(
      this.io,
      async () => ((await this.io.run(shard, statements)).at(-1)?.[0]?.phase ?? null) as Phase,
      // Writes to all shards that come without pause would keep the move out for ever: new ones wait for it now.
      () => this.io.run(shard, step.takeTurn(id)),
    );
  }

  /** RELEASE is tried on the source, and a large landing on the target: what has landed must be released. */
  async #check(move: PlacedMove, cargo: Cargo, { counts, rows, bytes }: Copied, frozenAt: number): Promise<void> {
    await this.#rehearse(move.from, step.release(move, cargo, counts, true)).catch((error: unknown) => {
      throw doesNotLetGo(move, cargo, error) ?? error;
    });
    if (rows > REHEARSED_ROWS) {
      const statements = step.land(move, cargo, this.#run, counts);
      await this.#rehearse(move.to, [...statements, bound(sql`select json_extract('{}', ${step.REHEARSED})`)]).catch(
        async (error: unknown) => {
          throw await this.#landingError(move, cargo, error);
        },
      );
    }
    this.#inTime(frozenAt, rows, bytes);
  }

  #inTime(frozenAt: number, rows: number, bytes: number): void {
    if (Date.now() - frozenAt <= this.frozenMs) return;
    const size = `${rows.toLocaleString('en')} rows of ${(bytes / 1e6).toFixed(1)} MB`;
    throw new MoveRefusedError(`${size} and what is left would be frozen for more than ${this.frozenMs} ms.`, {
      remedy: 'Move fewer slots at a time, make the rows of the key fewer, or raise `frozenMs`.',
    });
  }

  async #rehearse(shard: string, statements: ReturnType<typeof step.open>): Promise<void> {
    try {
      await this.io.run(shard, statements);
    } catch (error) {
      if (raisedBy(error)?.kind !== 'REHEARSED') throw error;
    }
  }

  async #commit(move: PlacedMove, cargo: Cargo, { counts }: Copied): Promise<void> {
    try {
      await this.io.run(move.to, step.land(move, cargo, this.#run, counts));
    } catch (error) {
      const raised = raisedBy(error);
      // Its answer was lost, and it was repeated.
      if (raised?.kind === 'PHASE' && raised.said === 'landed') return;
      throw await this.#landingError(move, cargo, error);
    }
  }

  async #landingError(move: PlacedMove, cargo: Cargo, error: unknown): Promise<unknown> {
    if (error instanceof Error && error.message.includes('FOREIGN KEY constraint failed')) {
      return lacksParents(move, error);
    }
    return (await this.#conflict(move, cargo, error)) ?? refusedBy(move.to, 'does not take a row', error) ?? error;
  }

  async #conflict(move: PlacedMove, cargo: Cargo, error: unknown): Promise<MoveConflictError | undefined> {
    if (!(error instanceof Error) || !error.message.includes('UNIQUE constraint failed')) return undefined;
    for (const table of cargo.tables) {
      const found = await findConflict(this.io, move, table, this.#run);
      if (!found) continue;
      return new MoveConflictError(
        `${move.to} has another row of ${table.name} with ${found.columns.join(', ')} = ${found.values.slice(1, -1)}. Nothing was moved.`,
        { tables: [table.name], shard: move.to, cause: error },
      );
    }
    return new MoveConflictError(`${move.to} refused a row: ${error.message}. Nothing was moved.`, {
      shard: move.to,
      cause: error,
    });
  }

  /** RELEASE, HOME, THAW, CLOSE, TIDY: all that is left once the move has landed. */
  async #finish(move: PlacedMove, phase: Phase): Promise<void> {
    const { io } = this;
    if (phase === 'landed') {
      await this.#release(move);
      await this.#home(move);
      this.#tell(move, 'thaw');
      await io.run(move.to, step.thaw(move));
    }
    this.#tell(move, 'close');
    await io.catalog.close(move.id);
    this.#tell(move, 'tidy');
    await io.run(move.from, step.tidy(move));
  }

  async #release(move: PlacedMove): Promise<void> {
    this.#tell(move, 'release');
    for (let tries = 1; ; tries++) {
      const { out, counts } = await this.#phases(move);
      if (out !== 'frozen') return;
      const cargo = await this.#cargo(move);
      const landed = JSON.parse(counts) as Record<string, number>;
      const expected = cargo.tables.map((table) => landed[table.name] ?? 0);
      try {
        await this.io.run(move.from, step.release(move, cargo, expected, false));
        return;
      } catch (error) {
        const kind = raisedBy(error)?.kind;
        // PHASE: it was released, and the answer was lost.
        if ((kind !== 'SCHEMA' && kind !== 'PHASE') || tries === TRIES) throw unreleased(move, landed, error);
        this.#cargos.clear();
      }
    }
  }

  /** A home that is a third shard learns the new place; until then it leads to the source, which leads on. */
  async #home(move: PlacedMove): Promise<void> {
    if (move.kind === 'slots' || move.home === move.from || move.home === move.to) return;
    this.#tell(move, 'home');
    const [rows = []] = await this.io.run(move.from, [
      bound(sql`select key, slot from _shard_move_keys where move = ${move.id}`),
    ]);
    const keys = rows.map((row): step.SlottedKey => [String(row.key), Number(row.slot)]);
    await this.io.run(move.home, step.home(move, keys));
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

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
