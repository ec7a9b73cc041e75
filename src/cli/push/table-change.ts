import { compareSchemas } from '../../migrations/schema/compare';
import type { Schema, SchemaColumn, SchemaTable } from '../../migrations/schema/schema';
import { foldName } from '../../sql/tokens';

/** How a table that is there becomes the one that is wanted. */
export interface TableChange {
  /** `alter`: columns come and go, which SQLite can do in place. */
  readonly kind: 'same' | 'alter' | 'rebuild';
  readonly added: readonly SchemaColumn[];
  readonly dropped: readonly SchemaColumn[];
}

/** Pure. */
export function tableChange(to: SchemaTable, from: SchemaTable): TableChange {
  const added = lacking(to.columns, from.columns);
  const dropped = lacking(from.columns, to.columns);
  const differences = compareSchemas(only(to), only(from));
  const isSimple = differences.every(({ object, kind }) => object === 'column' && kind !== 'changed');
  const kind = differences.length === 0 ? 'same' : isSimple && added.every(isAddable) ? 'alter' : 'rebuild';
  return { kind, added, dropped };
}

/** Columns of the first list that the second one has not. */
export function lacking(columns: readonly SchemaColumn[], others: readonly SchemaColumn[]): SchemaColumn[] {
  const names = new Set(others.map(({ name }) => foldName(name)));
  return columns.filter(({ name }) => !names.has(foldName(name)));
}

/** https://www.sqlite.org/lang_altertable.html#altertabaddcol: no value of its own, or a constant one. */
function isAddable({ notNull, default: value, generated }: SchemaColumn): boolean {
  if (generated) return !generated.stored;
  if (value === undefined || value === 'null') return !notNull;
  return /^(?:'(?:[^']|'')*'|[+-]? ?[\d.]+(?:e[+-]?\d+)?|true|false)$/i.test(value);
}

const only = (table: SchemaTable): Schema => ({
  tables: [table],
  indexes: [],
  views: [],
  triggers: [],
  virtualTables: [],
});
