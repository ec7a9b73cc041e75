/** A column of a table. */
export interface SchemaColumn {
  readonly name: string;
  /** In upper case; empty where none is declared. */
  readonly type: string;
  readonly notNull: boolean;
  /** The expression, normalised. */
  readonly default: string | undefined;
  /** BINARY unless the column declares another. */
  readonly collation: string;
  /** Set for a generated column: its expression, normalised. */
  readonly generated: { readonly as: string; readonly stored: boolean } | undefined;
}

export interface SchemaForeignKey {
  readonly columns: readonly string[];
  readonly table: string;
  /** Where the declaration names none: the primary key of `table`, if that is there. */
  readonly foreignColumns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
}

export interface SchemaTable {
  readonly name: string;
  /** As they stand in the table; two tables whose order differs do not differ. */
  readonly columns: readonly SchemaColumn[];
  readonly primaryKey: readonly string[];
  readonly autoincrement: boolean;
  /** Columns of each UNIQUE constraint, with a collation that is not the column's own; those of unique indexes not among them. */
  readonly uniques: readonly (readonly string[])[];
  readonly foreignKeys: readonly SchemaForeignKey[];
  /** Expressions of CHECK constraints, normalised. */
  readonly checks: readonly string[];
  readonly strict: boolean;
  readonly withoutRowid: boolean;
}

export interface SchemaIndex {
  readonly name: string;
  readonly table: string;
  readonly unique: boolean;
  /** Columns or expressions with their order and collation: `email`, `name desc`, `lower ( email ) collate nocase`. */
  readonly terms: readonly string[];
  /** The condition of a partial index, normalised. */
  readonly where: string | undefined;
}

/** What is compared by its normalised text: a view, a trigger, a virtual table. */
export interface SchemaText {
  readonly name: string;
  /** The table that a trigger is on. */
  readonly table: string;
  readonly sql: string;
}

/**
 * What a database is made of, without what belongs to D1, to migrations or to this package. Plain data: it can be kept as JSON.
 * Everything is in the order of names.
 */
export interface Schema {
  readonly tables: readonly SchemaTable[];
  readonly indexes: readonly SchemaIndex[];
  readonly views: readonly SchemaText[];
  readonly triggers: readonly SchemaText[];
  readonly virtualTables: readonly SchemaText[];
}
