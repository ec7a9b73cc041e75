import type { SchemaTable } from '../../migrations/schema/schema';
import { foldName, quoteName } from '../../sql/tokens';

/** A table that is made anew with the rows that it has. */
export interface Rebuild {
  readonly from: SchemaTable;
  readonly to: SchemaTable;
  /** CREATE TABLE. */
  readonly create: string;
}

/** Where rows wait while their table is made anew. */
const stash = (table: string): string => quoteName(`__push_${table}`);
const SEQUENCES = '"__push_sequences"';

/**
 * Makes tables anew, in one transaction with deferred foreign keys. D1 has those on always, so that a table cannot be dropped
 * behind the backs of those that refer to it: rows are set aside before it is dropped, and come back under the table's own name,
 * which is what SQLite needs to see that nothing is missing. Whatever a dropped table takes along by ON DELETE has to be rebuilt
 * with it: see {@link withDependants}.
 */
export function rebuildStatements(rebuilds: readonly Rebuild[]): {
  readonly setAside: string[];
  readonly restore: string[];
} {
  const counted = rebuilds.filter(({ from, to }) => from.autoincrement && to.autoincrement);
  // SQLite keeps a sequence under the name as it was written, which may differ in case from the new one.
  const names = counted.map(({ to }) => `'${to.name.replaceAll("'", "''")}'`).join(', ');
  const isCounted = `name COLLATE NOCASE IN (${names})`;
  const setAside = rebuilds.map(
    (one) => `CREATE TABLE ${stash(one.to.name)} AS SELECT ${carried(one, 'from')} FROM ${quoteName(one.from.name)}`,
  );
  const restore = rebuilds.flatMap((one) => [
    `INSERT INTO ${quoteName(one.to.name)} (${carried(one, 'to')}) SELECT * FROM ${stash(one.to.name)}`,
    `DROP TABLE ${stash(one.to.name)}`,
  ]);
  if (counted.length === 0) return { setAside, restore };
  // Ids of rows that were deleted are not given again.
  return {
    setAside: [...setAside, `CREATE TABLE ${SEQUENCES} AS SELECT name, seq FROM sqlite_sequence WHERE ${isCounted}`],
    restore: [
      ...restore,
      `DELETE FROM sqlite_sequence WHERE ${isCounted}`,
      `INSERT INTO sqlite_sequence (name, seq) SELECT t.name, s.seq FROM ${SEQUENCES} s JOIN sqlite_master t ON t.type = 'table' AND t.name = s.name COLLATE NOCASE`,
      `DROP TABLE ${SEQUENCES}`,
    ],
  };
}

/** Columns that can be written and have values now, with the rowid where it is nobody's column: full-text tables know rows by it. */
function carried({ from, to }: Pick<Rebuild, 'from' | 'to'>, side: 'from' | 'to'): string {
  const stored = new Map(to.columns.filter(({ generated }) => !generated).map(({ name }) => [foldName(name), name]));
  const shared = from.columns.filter(({ name }) => stored.has(foldName(name)));
  const columns = shared.map(({ name }) => quoteName(side === 'from' ? name : (stored.get(foldName(name)) as string)));
  // In a statement that has no such column, "name" would be a string.
  const qualified = side === 'from' ? columns.map((name) => `${quoteName(from.name)}.${name}`) : columns;
  const rowid = side === 'from' ? 'rowid AS "__rowid"' : 'rowid';
  return (hasOwnRowid(from) && hasOwnRowid(to) ? [rowid, ...qualified] : qualified).join(', ');
}

const hasOwnRowid = ({ withoutRowid, primaryKey, columns }: SchemaTable): boolean =>
  !withoutRowid &&
  columns.every(({ name }) => foldName(name) !== 'rowid') &&
  !(primaryKey.length === 1 && columns.some(({ name, type }) => name === primaryKey[0] && type === 'INTEGER'));

/** With deferred foreign keys RESTRICT waits as well: https://www.sqlite.org/pragma.html#pragma_defer_foreign_keys */
const HARMLESS: ReadonlySet<string> = new Set(['no action', 'restrict']);

/**
 * The tables to rebuild along with some: dropping a table deletes or changes what refers to it with ON DELETE. Only what is set
 * aside as well is safe.
 */
export function withDependants(names: ReadonlySet<string>, tables: readonly SchemaTable[]): Set<string> {
  const all = new Set(names);
  for (let before = -1; before < all.size; ) {
    before = all.size;
    for (const { name, foreignKeys } of tables) {
      const acts = foreignKeys.some(({ table, onDelete }) => !HARMLESS.has(onDelete) && all.has(foldName(table)));
      if (acts) all.add(foldName(name));
    }
  }
  return all;
}
