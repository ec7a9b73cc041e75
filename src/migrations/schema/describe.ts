import { type ColumnRow, shapeOf } from '../../layout/discover';
import { isSystemTable } from '../../layout/table';
import type { BoundStatement } from '../../sql/bound';
import { foldName } from '../../sql/tokens';
import { readCreateIndex, readCreateTable } from './create-table';
import { normalSql } from './normal-sql';
import type { Schema, SchemaColumn, SchemaForeignKey, SchemaIndex, SchemaTable, SchemaText } from './schema';

type Row = Readonly<Record<string, unknown>>;

/** D1 refuses pragmas of its own tables, so they are left out before they are asked for. */
const isUsers = (column: string): string =>
  `${column} not glob '_shard_*' and ${column} not glob 'sqlite_*' and ${column} not glob '_cf_*'`;

const ofTables = (join: string): string =>
  `from pragma_table_list t ${join} where t.schema = 'main' and t.type = 'table' and ${isUsers('t.name')}`;

const READ: readonly string[] = [
  // Shadow tables are their virtual table's business.
  `select m.type, m.name, m.tbl_name as tbl, m.sql, t.type as kind, t.wr, t.strict from sqlite_master m
    left join pragma_table_list t on t.schema = 'main' and t.name = m.tbl_name
    where ${isUsers('m.name')} and ${isUsers('m.tbl_name')} and t.type is not 'shadow' order by m.name`,
  `select t.name as tbl, c.* ${ofTables('join pragma_table_xinfo(t.name) c')} order by t.name, c.cid`,
  `select t.name as tbl, f.* ${ofTables('join pragma_foreign_key_list(t.name) f')} order by t.name, f.id, f.seq`,
  `select t.name as tbl, l.name as idx, l."unique" as uniq, l.origin, i.seqno, i.name, i."desc", i.coll
    ${ofTables('join pragma_index_list(t.name) l join pragma_index_xinfo(l.name) i')} and i.key order by l.name, i.seqno`,
];

/** Reads the schema of a database, for any batch; {@link schemaFrom} understands the answers. Changes nothing. */
export const describeStatements: readonly BoundStatement[] = READ.map((sql) => ({ sql, params: [] }));

/**
 * The schema that a database really has. One D1 round trip.
 *
 * @example
 * const { tables } = await describeSchema(env.DB);
 */
export async function describeSchema(d1: Pick<D1Database, 'prepare' | 'batch'>): Promise<Schema> {
  const results = await d1.batch<Row>(describeStatements.map(({ sql }) => d1.prepare(sql)));
  return schemaFrom(results.map((result) => result.results));
}

/** Of the rows of {@link describeStatements}. Pure. */
export function schemaFrom([
  objects = [],
  columns = [],
  foreignKeys = [],
  indexes = [],
]: readonly (readonly Row[])[]): Schema {
  const own = objects.filter(({ name, tbl }) => !isSystemTable(String(name)) && !isSystemTable(String(tbl)));
  const ofType = (type: string) => own.filter((row) => row.type === type);
  const of = (rows: readonly Row[], table: Row) => rows.filter((row) => row.tbl === table.name);
  const tables = ofType('table').filter(({ kind }) => kind === 'table');
  const keyOf = (table: string): readonly string[] => {
    const parent = tables.find(({ name }) => foldName(String(name)) === foldName(table));
    return parent ? primaryKeyOf(of(columns, parent)) : [];
  };
  return {
    tables: tables.map((row) => tableOf(row, of(columns, row), of(foreignKeys, row), of(indexes, row), keyOf)),
    // What a constraint has made has no SQL.
    indexes: ofType('index')
      .filter(({ sql }) => sql !== null)
      .map((row) => indexOf(row, indexes)),
    views: ofType('view').map(textOf),
    triggers: ofType('trigger').map(textOf),
    virtualTables: ofType('table')
      .filter(({ kind }) => kind === 'virtual')
      .map(textOf),
  };
}

const primaryKeyOf = (columns: readonly Row[]): string[] =>
  columns
    .filter(({ pk }) => Number(pk) > 0)
    .sort((a, b) => Number(a.pk) - Number(b.pk))
    .map(({ name }) => String(name));

function tableOf(
  row: Row,
  columns: readonly Row[],
  foreignKeys: readonly Row[],
  indexes: readonly Row[],
  keyOf: (table: string) => readonly string[],
): SchemaTable {
  const name = String(row.name);
  const sql = String(row.sql);
  const { generated, checks, autoincrement } = readCreateTable(sql, name);
  const shape = shapeOf({ name, sql }, columns as unknown as ColumnRow[], []);
  const collationOf = (column: unknown) => shape.columns.find((one) => one.name === column)?.collation ?? 'BINARY';
  const uniqueTerm = ({ name: column, coll }: Row) =>
    String(coll).toUpperCase() === collationOf(column)
      ? String(column)
      : `${column} collate ${String(coll).toLowerCase()}`;
  return {
    name,
    columns: columns.map((column): SchemaColumn => {
      const as = generated.get(foldName(String(column.name)));
      return {
        name: String(column.name),
        type: String(column.type)
          .toUpperCase()
          .replace(/\s+/g, ' ')
          .replace(/ ?([(),]) ?/g, '$1'),
        notNull: column.notnull === 1,
        default: column.dflt_value === null ? undefined : normalSql(String(column.dflt_value)),
        collation: collationOf(column.name),
        // https://www.sqlite.org/pragma.html#pragma_table_xinfo: 2 is virtual, 3 is stored.
        generated: as === undefined ? undefined : { as, stored: column.hidden === 3 },
      };
    }),
    primaryKey: primaryKeyOf(columns),
    autoincrement,
    uniques: grouped(
      indexes.filter(({ origin }) => origin === 'u'),
      'idx',
    ).map((terms) => terms.map(uniqueTerm)),
    foreignKeys: grouped(foreignKeys, 'id').map((rows) => foreignKeyOf(rows, keyOf)),
    checks,
    strict: row.strict === 1,
    withoutRowid: row.wr === 1,
  };
}

function foreignKeyOf(rows: readonly Row[], keyOf: (table: string) => readonly string[]): SchemaForeignKey {
  const table = String(rows[0]?.table);
  return {
    columns: rows.map(({ from }) => String(from)),
    table,
    foreignColumns: rows.every(({ to }) => to === null) ? keyOf(table) : rows.map(({ to }) => String(to)),
    onDelete: String(rows[0]?.on_delete).toLowerCase(),
    onUpdate: String(rows[0]?.on_update).toLowerCase(),
  };
}

function indexOf(row: Row, rows: readonly Row[]): SchemaIndex {
  const table = String(row.tbl);
  const terms = rows.filter(({ idx }) => idx === row.name);
  const text = readCreateIndex(String(row.sql), table);
  return {
    name: String(row.name),
    table,
    unique: terms[0]?.uniq === 1,
    terms: terms.map((term, i) => {
      const what = term.name === null ? text.terms[i] : foldName(String(term.name));
      const collate = String(term.coll).toUpperCase() === 'BINARY' ? '' : ` collate ${String(term.coll).toLowerCase()}`;
      return `${what}${collate}${term.desc === 1 ? ' desc' : ''}`;
    }),
    where: text.where,
  };
}

const textOf = (row: Row): SchemaText => ({
  name: String(row.name),
  table: String(row.tbl),
  sql: normalSql(String(row.sql)),
});

function grouped(rows: readonly Row[], by: string): Row[][] {
  const groups = new Map<unknown, Row[]>();
  for (const row of rows) groups.set(row[by], [...(groups.get(row[by]) ?? []), row]);
  return [...groups.values()];
}
