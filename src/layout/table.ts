import { foldName } from '../sql/tokens';

/** SQLite's column affinities, https://www.sqlite.org/datatype3.html §3. */
export type Affinity = 'integer' | 'text' | 'blob' | 'real' | 'numeric';

export interface Column {
  readonly name: string;
  readonly affinity: Affinity;
  /** BINARY unless the column declares another. */
  readonly collation: string;
  /** A generated column: SQLite refuses values for it. */
  readonly generated: boolean;
  /** Its DEFAULT gives another value each time: `random()`, the clock. */
  readonly unstableDefault: boolean;
  /** It holds no NULL, as the database itself says; a schema that says so is not believed. */
  readonly notNull?: boolean;
  /** It holds values of an expression that has no affinity, which is less than the BLOB of a column. */
  readonly computed?: boolean;
}

/** How the rows of a table are spread. */
export type Placement =
  | { readonly kind: 'sharded'; readonly key: Column; readonly keyspace: string }
  /** Whole on every shard. */
  | { readonly kind: 'replicated' }
  /** Whole on one shard. */
  | { readonly kind: 'pinned'; readonly shard: string };

export interface ForeignKey {
  readonly columns: readonly string[];
  readonly table: string;
  readonly foreignColumns: readonly string[];
}

/** A table as the database has it, before it is known how its rows are spread. */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly primaryKey: readonly string[];
  /** Column lists of UNIQUE constraints and indexes, without the primary key. An expression has an empty name. */
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly ForeignKey[];
  /** Declared `INTEGER PRIMARY KEY`: SQLite numbers the rows itself when no value is given. */
  readonly rowidAlias: string | undefined;
}

export interface Table extends TableShape {
  readonly placement: Placement;
}

/** The affinity of a declared type, by the rules of https://www.sqlite.org/datatype3.html §3.1. */
export function affinityOf(declaredType: string): Affinity {
  const type = declaredType.toUpperCase();
  if (type.includes('INT')) return 'integer';
  if (type.includes('CHAR') || type.includes('CLOB') || type.includes('TEXT')) return 'text';
  if (type.includes('BLOB') || type === '') return 'blob';
  if (type.includes('REAL') || type.includes('FLOA') || type.includes('DOUB')) return 'real';
  return 'numeric';
}

export function findColumn(table: TableShape, name: string): Column | undefined {
  const folded = foldName(name);
  return table.columns.find((column) => foldName(column.name) === folded);
}

/** The column that a write means: `rowid`, where no column is called so, is the INTEGER PRIMARY KEY. */
export function writtenColumn(table: TableShape, name: string): string {
  const isRowid = ['rowid', 'oid', '_rowid_'].includes(foldName(name));
  return (isRowid && !findColumn(table, name) ? table.rowidAlias : undefined) ?? name;
}

export const sameName = (a: string, b: string): boolean => foldName(a) === foldName(b);

/** Tables that belong to the database or to this package, not to the user. They are whole on every shard. */
export const isSystemTable = (name: string): boolean =>
  /^(sqlite_|_cf_|_shard_|__drizzle_migrations$|d1_migrations$|pragma_)/.test(foldName(name));
