import type { Schema, SchemaColumn, SchemaIndex, SchemaTable } from '../../migrations/schema/schema';
import { foldName } from '../../sql/tokens';

/** What is wanted, with all that Drizzle has no words for as the database has it: STRICT, WITHOUT ROWID, collations. */
export function keepingOf(wanted: Schema, actual: Schema): Schema {
  const existing = new Map(actual.tables.map((table) => [foldName(table.name), table]));
  const tables = wanted.tables.map((to): SchemaTable => {
    const from = existing.get(foldName(to.name));
    if (!from) return to;
    const { strict, withoutRowid } = from;
    const columns = to.columns.map((column) => ({
      ...column,
      collation: columnOf(from, column.name)?.collation ?? column.collation,
    }));
    return { ...to, strict, withoutRowid, columns };
  });
  const indexes = wanted.indexes.map((index): SchemaIndex => {
    const table = existing.get(foldName(index.table));
    return table ? { ...index, terms: index.terms.map((term) => collated(term, table)) } : index;
  });
  return { ...wanted, tables, indexes };
}

const columnOf = ({ columns }: SchemaTable, name: string): SchemaColumn | undefined =>
  columns.find((column) => foldName(column.name) === foldName(name));

/** An index on a column has the column's collation. */
function collated(term: string, table: SchemaTable): string {
  const [, name = '', order = ''] = /^(.*?)( desc)?$/.exec(term) ?? [];
  const collation = columnOf(table, name)?.collation ?? 'BINARY';
  return collation === 'BINARY' ? term : `${name} collate ${collation.toLowerCase()}${order}`;
}

/** What a table loses when it is made anew by what Drizzle says. */
export function unspoken({ strict, withoutRowid, columns }: SchemaTable): string[] {
  const collations = columns.filter(({ collation }) => collation !== 'BINARY');
  return [
    ...(strict ? ['STRICT'] : []),
    ...(withoutRowid ? ['WITHOUT ROWID'] : []),
    ...collations.map(({ name, collation }) => `COLLATE ${collation} of ${name}`),
  ];
}
