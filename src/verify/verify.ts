import type { ShardMap } from '../catalog/catalog';
import { redoStale } from '../execution/redo';
import { pause } from '../execution/retry';
import { type CarriedTable, carriedTables, placements } from '../moves/carry';
import { type MoveIo, raisedBy } from '../moves/io';
import { type KeyTable, keyTablesOf } from '../moves/key-tables';
import { copyReferences } from '../moves/references';
import { collectOn } from '../moves/runner';
import { readSchemaStatements, type ShardSchema, schemaOf } from '../moves/schema';
import type { MoveSpec } from '../moves/spec';
import { CONFLICT } from '../placement/conflict';
import { xor52 } from '../placement/xor';
import { bound, name, sql } from '../sql/tag';
import { removeCopy, sameRows } from './duplicates';
import { type Finding, type RecordNote, reportOf, type TableCount, type VerifyReport } from './finding';
import { findMisplaced, type Misplaced, ownerOf, readOwned } from './keys';
import { openWork } from './open-work';
import { compareRecords, findForgotten, findRowless, findUnrecorded, remindHome } from './records';
import { checksumOf } from './replicas';

export interface VerifySettings {
  /** Mend what is surely safe: copies of rows that their owner has as well, and reference tables. Default false. */
  repair?: boolean;
  /** Look at the shard key of every row, and at every placement record. Default true; the rest takes seconds, with any number of rows. */
  rows?: boolean;
}

/** What looks wrong while something moves is looked at again after this. */
const AGAIN_MS = 300;

/** Looks at every shard of a cluster. It may be in use: what a move explains is no finding. */
export async function verify(
  io: MoveIo,
  spec: MoveSpec,
  { repair = false, rows = true }: VerifySettings,
): Promise<VerifyReport> {
  return new Verifier(io, spec, repair).run(rows);
}

class Verifier {
  readonly #findings: Finding[] = [];
  readonly #notes: RecordNote[] = [];
  readonly #counts: TableCount[] = [];

  constructor(
    readonly io: MoveIo,
    readonly spec: MoveSpec,
    readonly repair: boolean,
  ) {}

  async run(rows: boolean): Promise<VerifyReport> {
    const map = await this.#map();
    const names = map.shards.filter(({ state }) => state !== 'retired').map((shard) => shard.name);
    if (this.repair) {
      await redoStale(this.io);
      await collectOn(this.io, names);
    }
    for (const finding of await openWork(this.io.catalog)) this.#found(finding);
    await this.#digests(names);
    await this.#slots(map, names);
    const schemas = new Map<string, ShardSchema>();
    for (const shard of names) schemas.set(shard, schemaOf(await this.io.run(shard, readSchemaStatements)));
    if (rows) await this.#rows(map, schemas);
    await this.#replicas(names, schemas);
    return reportOf(this.#findings, this.#notes, this.#counts);
  }

  async #rows(map: ShardMap, schemas: ReadonlyMap<string, ShardSchema>): Promise<void> {
    const misplaced: Misplaced[] = [];
    for (const [shard, schema] of schemas) {
      for (const table of keyTablesOf(this.spec, schema)) {
        const found = await this.#table(shard, table);
        // What a database came with is where it should be, whether it was scanned or not.
        const isNew = map.keyspaces[table.keyspace]?.adopting?.some((one) => one.shard === shard);
        if (!isNew) misplaced.push(...found);
      }
    }
    await this.#misplaced(misplaced, schemas);
    for (const keyspace of Object.keys(map.keyspaces)) {
      for (const shard of schemas.keys()) {
        await this.#records(shard, keyspace, schemas);
        await this.#forgotten(shard, keyspace, schemas);
      }
    }
  }

  async #map(): Promise<ShardMap> {
    const view = await this.io.catalog.map();
    if (!view) throw new Error('There is no cluster yet.');
    return view.map;
  }

  #found(finding: Omit<Finding, 'repaired'>, repaired = false): void {
    this.#findings.push({ ...finding, repaired });
  }

  async #digests(names: readonly string[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { base } = await this.#map();
      const digests = await Promise.all(
        names.map(async (shard) => {
          const [[row] = []] = await this.io.run(shard, [bound(sql`select digest from _shard_identity`)]);
          return Number(row?.digest);
        }),
      );
      if (xor52(digests) === base) return;
      const isMoving = (await this.io.catalog.moves(0)).length > 0;
      if (tries === 5 && !isMoving) {
        this.#found({
          kind: 'digest',
          shard: names.join(', '),
          message: 'the digests of the shards do not add up, and no move is open.',
          remedy: 'Was one of them restored to an earlier time? Restore all of them to the same time.',
        });
      }
      if (tries === 5) return;
      await pause(AGAIN_MS);
    }
  }

  async #slots(map: ShardMap, names: readonly string[]): Promise<void> {
    const moving = await this.io.catalog.moves(0);
    for (const shard of names) {
      const owned = await readOwned(this.io, shard);
      for (const [keyspace, { ranges }] of Object.entries(map.keyspaces)) {
        const here = new Set((owned.get(keyspace) ?? []).flatMap(([lo, hi]) => slotsOf(lo, hi)));
        const wanted = new Set(ranges.filter((one) => one.shard === shard).flatMap(({ lo, hi }) => slotsOf(lo, hi)));
        const differing = [
          ...[...here].filter((slot) => !wanted.has(slot)),
          ...[...wanted].filter((slot) => !here.has(slot)),
        ];
        const wrong = differing.filter(
          (slot) => !moving.some((move) => move.keyspace === keyspace && move.lo <= slot && slot <= move.hi),
        );
        if (wrong.length === 0) continue;
        // A move may have begun and ended between the two looks.
        const now = (await this.#map()).epoch;
        if (now !== map.epoch) continue;
        this.#found({
          kind: 'slots',
          shard,
          keyspace,
          message: `it and the catalog disagree on ${wrong.length} slots of the keyspace ${keyspace}.`,
          remedy: 'Was the database, or the catalog, restored to an earlier time?',
        });
      }
    }
  }

  async #table(shard: string, table: KeyTable): Promise<Misplaced[]> {
    const key = name(table.key);
    const [[row] = []] = await this.io.run(shard, [
      bound(sql`select count(*) as n, count(*) - count(${key}) as nulls from ${name(table.name)}`),
    ]);
    this.#counts.push({ shard, table: table.name, rows: Number(row?.n) });
    if (Number(row?.nulls) > 0) {
      this.#found({
        kind: 'keyless',
        shard,
        table: table.name,
        message: `${Number(row?.nulls)} rows of ${table.name} have no ${table.key}.`,
        remedy: `Give them one with db.$shard('${shard}'), or delete them.`,
      });
    }
    return findMisplaced(this.io, shard, table);
  }

  /** What looked misplaced may have been moved meanwhile: it is looked at again, by what the key's home says now. */
  async #misplaced(list: readonly Misplaced[], schemas: ReadonlyMap<string, ShardSchema>): Promise<void> {
    if (list.length === 0) return;
    await pause(AGAIN_MS);
    const map = await this.#map();
    const keys = new Map(list.map((one) => [JSON.stringify([one.shard, one.keyspace, one.key]), one]));
    for (const { shard, keyspace, key } of keys.values()) {
      const owner = await ownerOf(this.io, map, keyspace, key);
      if (owner === undefined || owner === CONFLICT) continue;
      const tables = this.#tablesOf(schemas, shard, keyspace);
      if (owner === shard) {
        const unrecorded = await findUnrecorded(this.io, map, { shard, keyspace, key }, tables);
        if (unrecorded) this.#found(unrecorded);
        continue;
      }
      const same = await sameRows(this.io, { keyspace, key, shard, owner }, tables);
      if (same === 'gone') continue;
      const copy = { kind: same === 'stray' ? ('stray' as const) : ('duplicate' as const), shard, keyspace, key };
      const where = `the key '${key}' has rows here, and lives on ${owner}`;
      if (same === 'same') {
        const mended = this.repair && (await removeCopy(this.io, { keyspace, key, shard, owner }, tables));
        this.#found(
          { ...copy, message: `${where}, which has the same rows.`, remedy: 'verify({ repair: true }) removes them.' },
          mended,
        );
      } else {
        this.#found({
          ...copy,
          message: same === 'stray' ? `${where}, which has none.` : `${where}, which has other ones.`,
          remedy: `Look at both with db.$shard('${shard}') and db.$shard('${owner}').`,
        });
      }
    }
  }

  #tablesOf(schemas: ReadonlyMap<string, ShardSchema>, shard: string, keyspace: string): KeyTable[] {
    const schema = schemas.get(shard);
    return schema ? keyTablesOf(this.spec, schema).filter((table) => table.keyspace === keyspace) : [];
  }

  async #records(shard: string, keyspace: string, schemas: ReadonlyMap<string, ShardSchema>): Promise<void> {
    const tablesOf = (one: string) => this.#tablesOf(schemas, one, keyspace);
    const rowless = await findRowless(this.io, shard, keyspace, tablesOf(shard));
    if (rowless.keys > 0) this.#notes.push({ kind: 'rowless', shard, keyspace, ...rowless });
    const { lost, unwritten } = await compareRecords(this.io, shard, keyspace, tablesOf);
    for (const [at, keys] of unwritten) this.#notes.push({ kind: 'unwritten', shard, at, keyspace, ...keys });
    if (lost.length === 0) return;
    await pause(AGAIN_MS);
    const again = await compareRecords(this.io, shard, keyspace, tablesOf);
    const still = new Set(again.lost.map((one) => JSON.stringify(one)));
    for (const { key, at } of lost.filter((one) => still.has(JSON.stringify(one)))) {
      this.#found({
        kind: 'unreachable',
        shard,
        keyspace,
        key,
        message: `it says that the key '${key}' lives on ${at}, which says that it lives elsewhere.`,
        remedy: 'Was one of the two restored to an earlier time?',
      });
    }
  }

  async #forgotten(shard: string, keyspace: string, schemas: ReadonlyMap<string, ShardSchema>): Promise<void> {
    const find = async () =>
      findForgotten(this.io, await this.#map(), shard, keyspace, this.#tablesOf(schemas, shard, keyspace));
    const keys = await find();
    if (keys.length === 0) return;
    // A move may have been between the two looks.
    await pause(AGAIN_MS);
    const still = new Set((await find()).map(({ key }) => key));
    for (const one of keys.filter(({ key }) => still.has(key))) {
      const { key, home } = one;
      const mended = this.repair && (await remindHome(this.io, keyspace, one, this.#tablesOf(schemas, home, keyspace)));
      this.#found(
        {
          kind: 'unreachable',
          shard,
          keyspace,
          key,
          message: `the key '${key}' lives here by its record, and ${home}, which has to know, does not.`,
          remedy: `Was ${home} restored to an earlier time? verify({ repair: true }) tells it again, unless it has rows of the key as well.`,
        },
        mended,
      );
    }
  }

  async #replicas(names: readonly string[], schemas: ReadonlyMap<string, ShardSchema>): Promise<void> {
    const [first, ...others] = names;
    const schema = schemas.get(first as string);
    if (!schema) return;
    const placed = placements(this.spec, schema);
    const infos = [...schema.tables].flatMap(([key, info]) => (placed.get(key)?.kind === 'replicated' ? [info] : []));
    const drifted = new Map<string, string[]>();
    for (const table of carriedTables(infos, () => undefined)) {
      const expected = await this.#checksum(first as string, table);
      for (const shard of others) {
        let found = await this.#checksum(shard, table);
        // A write may have been between the two.
        if (found !== expected)
          found =
            (await this.#checksum(first as string, table)) === expected ? await this.#checksum(shard, table) : expected;
        if (found !== expected) drifted.set(shard, [...(drifted.get(shard) ?? []), table.name]);
      }
    }
    for (const [shard, tables] of drifted) {
      const mended = this.repair && (await this.#copyTo(first as string, shard));
      for (const table of tables) {
        this.#found(
          {
            kind: 'replica',
            shard,
            table,
            message: `its copy of ${table} is not that of ${first}.`,
            remedy: `verify({ repair: true }) copies the rows of ${first}.`,
          },
          mended,
        );
      }
    }
  }

  /** Rows that users' rows refer to are never deleted for this: then it stays as it is, and is reported. */
  async #copyTo(from: string, to: string): Promise<boolean> {
    try {
      await copyReferences(this.io, this.spec, from, to);
      return true;
    } catch (error) {
      const kind = raisedBy(error)?.kind;
      if (kind === 'EXTRA' || String(error).includes('constraint failed')) return false;
      throw error;
    }
  }

  async #checksum(shard: string, table: CarriedTable): Promise<string> {
    const { rows, sum } = await checksumOf(this.io, shard, table);
    const known = this.#counts.findIndex((one) => one.shard === shard && one.table === table.name);
    const counted = { shard, table: table.name, rows, checksum: sum };
    if (known >= 0) this.#counts[known] = counted;
    else this.#counts.push(counted);
    return `${rows}:${sum}`;
  }
}

const slotsOf = (lo: number, hi: number): number[] => Array.from({ length: hi - lo + 1 }, (_, i) => lo + i);
