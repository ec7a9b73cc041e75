import type { AdoptionConflict } from '../catalog/adoptions';
import type { Catalog, ShardMap } from '../catalog/catalog';
import type { KeyTable } from '../moves/key-tables';
import { readTableList } from '../placement/claims';
import { CONFLICT } from '../placement/conflict';
import { homeOf } from '../placement/home';
import type { BoundStatement } from '../sql/bound';
import {
  type At,
  adoptStatements,
  arriveStatements,
  conflictStatements,
  disownStatements,
  type FoundKey,
  type KeyTables,
  readAdopted,
} from './statements';

/** What adopting needs of the world. */
export interface AdoptionIo {
  readonly cluster: string;
  readonly catalog: Catalog;
  /** One batch on one shard, which may be repeated; the rows of each statement. */
  readonly run: (
    shard: string,
    statements: readonly BoundStatement[],
  ) => Promise<readonly (readonly Readonly<Record<string, unknown>>[])[]>;
  /** The tables of a keyspace on a shard. `again`: what was known of them is not so any more. */
  readonly tablesOf: (shard: string, keyspace: string, again: boolean) => Promise<KeyTables>;
}

/** What became of keys that were found on a shard. */
export interface AdoptedKeys {
  readonly adopted: readonly FoundKey[];
  readonly conflicts: readonly AdoptionConflict[];
  /** Their slots are being moved. */
  readonly unsettled: readonly FoundKey[];
  /** The scan of the source was ended before this came: all that was to be recorded of them is. */
  readonly ended: readonly FoundKey[];
}

/**
 * Records where keys live that a database came with: first on their home, whose record decides, then on the database itself. May
 * be repeated, by several at once. A key that another database has as well is made a conflict, so that no statement with it runs.
 *
 * @param home The home of all these keys.
 */
export async function adoptKeys(
  io: AdoptionIo,
  keyspace: string,
  source: string,
  home: string,
  keys: readonly FoundKey[],
): Promise<AdoptedKeys> {
  const rows = await withTables(io, home, keyspace, (tables) =>
    adoptStatements(at(io, home), keyspace, source, keys, tables),
  );
  const adopted: FoundKey[] = [];
  const unsettled: FoundKey[] = [];
  const ended: FoundKey[] = [];
  const others = new Map<string, FoundKey[]>();
  for (const [i, key] of keys.entries()) {
    const became = readAdopted(home, source, rows[i] ?? {});
    if (became === 'adopted') adopted.push(key);
    else if (became === 'unsettled') unsettled.push(key);
    else if (became === 'ended') ended.push(key);
    else others.set(became.conflictsWith, [...(others.get(became.conflictsWith) ?? []), key]);
  }
  if (adopted.length > 0 && source !== home) {
    await io.run(source, arriveStatements(at(io, source), keyspace, adopted));
  }
  const conflicts: AdoptionConflict[] = [];
  for (const [other, list] of others) {
    // The home first: its record decides, and the other shard's, which is older, goes after it.
    const rows = await io.run(home, conflictStatements(at(io, home), keyspace, source, list));
    const made = new Set(rows.at(-1)?.map(({ key }) => key));
    const own = list.filter(({ key }) => made.has(key));
    ended.push(...list.filter(({ key }) => !made.has(key)));
    for (const { key } of own)
      conflicts.push({ keyspace, key, shards: other === CONFLICT ? [source] : [other, source] });
    if (other === CONFLICT || other === home || own.length === 0) continue;
    await io.run(other, disownStatements(at(io, other), keyspace, own));
  }
  if (conflicts.length > 0) await io.catalog.noteConflicts(conflicts);
  return { adopted, conflicts, unsettled, ended };
}

const at = ({ cluster }: AdoptionIo, shard: string): At => ({ cluster, shard });

/** Runs a batch that fails with SHARD_TABLES if the tables are not as they were known, and gives its last rows. */
export async function withTables(
  io: Pick<AdoptionIo, 'run' | 'tablesOf'>,
  shard: string,
  keyspace: string,
  statements: (tables: KeyTables) => readonly BoundStatement[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  for (let again = false; ; again = true) {
    const tables = await io.tablesOf(shard, keyspace, again);
    try {
      return (await io.run(shard, statements(tables))).at(-1) ?? [];
    } catch (error) {
      if (again || !(error instanceof Error) || !error.message.includes('SHARD_TABLES')) throw error;
    }
  }
}

/** Keys by the shard that decides where they live. */
export function byHome(map: ShardMap, keyspace: string, keys: readonly FoundKey[]): Map<string, FoundKey[]> {
  const homes = new Map<string, FoundKey[]>();
  for (const key of keys) {
    const home = homeOf(map, keyspace, key.slot);
    if (home === undefined) throw new Error(`No shard owns slot ${key.slot} of the keyspace ${keyspace}.`);
    const list = homes.get(home);
    if (list) list.push(key);
    else homes.set(home, [key]);
  }
  return homes;
}

/** The tables of a keyspace as a database has them now. */
export async function readKeyTables(
  io: Pick<AdoptionIo, 'run'>,
  shard: string,
  keyspace: string,
  keyed: readonly KeyTable[],
): Promise<KeyTables> {
  const [[row] = []] = await io.run(shard, [readTableList]);
  const own = keyed.filter((table) => table.keyspace === keyspace);
  return {
    list: (row?.tables as string | null | undefined) ?? null,
    columns: own.map(({ name, key }) => ({ table: name, column: key })),
  };
}
