import { type AnyColumn, getTableColumns, is, SQL } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { type Casing, columnName } from './column-name';
import { isUnstable } from './discover';
import { renderSql } from './render-sql';
import { affinityOf, type Column, sameName, type TableShape } from './table';

/** A table of a Drizzle schema, with the names that the schema's author uses. */
export interface SchemaTable {
  /** The name under which the schema exports it. */
  readonly exportName: string;
  readonly shape: TableShape;
  /** Property name → column name. */
  readonly properties: ReadonlyMap<string, string>;
}

/** A Worker may make its database anew for each request, always from the same schema object. */
const read = new WeakMap<object, Map<Casing, readonly SchemaTable[]>>();

/** Reads the tables of a Drizzle schema: a pure function of the schema. */
export function readSchema(schema: Record<string, unknown>, casing: Casing): readonly SchemaTable[] {
  const known = read.get(schema) ?? new Map<Casing, readonly SchemaTable[]>();
  read.set(schema, known);
  const tables = known.get(casing) ?? readTables(schema, casing);
  known.set(casing, tables);
  return tables;
}

function readTables(schema: Record<string, unknown>, casing: Casing): SchemaTable[] {
  const tables: SchemaTable[] = [];
  for (const [exportName, value] of Object.entries(schema)) {
    if (is(value, SQLiteTable)) tables.push(readTable(exportName, value, casing));
  }
  return tables;
}

function readTable(exportName: string, table: SQLiteTable, casing: Casing): SchemaTable {
  const config = getTableConfig(table);
  const nameOf = (column: AnyColumn) => columnName(column, casing);
  const columns = config.columns.map(
    (column): Column => ({
      name: nameOf(column),
      ...readType(column.getSQLType()),
      generated: column.generated !== undefined,
      unstableDefault: is(column.default, SQL) && isUnstable(renderSql(column.default, casing).sql),
    }),
  );
  const declared = config.columns.filter((column) => column.primary).map(nameOf);
  const composite = config.primaryKeys[0]?.columns.map(nameOf);
  const primaryKey = composite ?? declared;
  const uniques = [
    ...config.columns.filter((column) => column.isUnique).map((column) => [nameOf(column)]),
    ...config.uniqueConstraints.map((constraint) => constraint.columns.map(nameOf)),
    ...config.indexes
      .filter((index) => index.config.unique)
      .map((index) => index.config.columns.map((column) => ('name' in column ? nameOf(column as AnyColumn) : ''))),
  ];
  const foreignKeys = config.foreignKeys.map((key) => {
    const reference = key.reference();
    return {
      columns: reference.columns.map(nameOf),
      table: getTableConfig(reference.foreignTable).name,
      foreignColumns: reference.foreignColumns.map(nameOf),
    };
  });
  const single =
    primaryKey.length === 1
      ? config.columns.find((column) => sameName(nameOf(column), primaryKey[0] as string))
      : undefined;
  const rowidAlias =
    single && declared.length === 1 && /^integer$/i.test(single.getSQLType()) ? primaryKey[0] : undefined;
  const properties = new Map(
    Object.entries(getTableColumns(table)).map(([property, column]) => [property, nameOf(column)]),
  );
  return {
    exportName,
    shape: { name: config.name, columns, primaryKey, uniques, foreignKeys, rowidAlias },
    properties,
  };
}

/** `text collate nocase`, from a custom type, is type and collation in one string. */
function readType(declared: string): Pick<Column, 'affinity' | 'collation'> {
  const collate = /\bcollate\s+["'`[]?(\w+)/i.exec(declared);
  const type = collate ? declared.slice(0, collate.index) : declared;
  return { affinity: affinityOf(type.trim()), collation: collate?.[1]?.toUpperCase() ?? 'BINARY' };
}
