import { type ColumnRow, type IndexRow, shapeOf } from '../layout/discover';
import { isSystemTable, type TableShape } from '../layout/table';
import type { BoundStatement } from '../sql/bound';
import { foldName, isOp, isWord, tokenize } from '../sql/tokens';

export interface ForeignKeyInfo {
  readonly columns: readonly string[];
  readonly table: string;
  /** Empty where the parent's primary key is meant. */
  readonly foreignColumns: readonly string[];
  readonly onDelete: string;
}

/** A table as the database has it. */
export interface TableInfo {
  readonly name: string;
  readonly shape: TableShape;
  /** Columns that hold values of their own, in order. */
  readonly stored: readonly string[];
  readonly primaryKey: readonly string[];
  readonly withoutRowid: boolean;
  readonly foreignKeys: readonly ForeignKeyInfo[];
  /** What two databases must agree on for rows to be the same on both. */
  readonly form: string;
  /** An index begins with this column. */
  readonly isIndexed: (column: string) => boolean;
}

export interface TriggerInfo {
  readonly name: string;
  readonly table: string;
  readonly event: 'insert' | 'update' | 'delete';
  readonly sql: string;
}

export interface ShardSchema {
  /** By folded name. */
  readonly tables: ReadonlyMap<string, TableInfo>;
  readonly triggers: readonly TriggerInfo[];
  /** All of the user's schema as one text. */
  readonly text: string;
}

const isUsers = (column: string): string =>
  `${column} not glob '_shard_*' and ${column} not glob 'sqlite_*' and ${column} not glob '_cf_*'`;

/** The user's schema as one text, in SQL: a batch that was written for another one is refused. */
export const SCHEMA_TEXT = `(select coalesce(group_concat(type || ' ' || name || ' ' || coalesce(sql, ''), char(10)), '')
  from (select type, name, sql from sqlite_master where ${isUsers('name')} and ${isUsers('tbl_name')} order by type, name))`;

const fromTables = (join: string): string =>
  `from pragma_table_list t ${join} where t.schema = 'main' and t.type = 'table' and ${isUsers('t.name')} order by t.name`;

const READ_SCHEMA: readonly string[] = [
  `select ${SCHEMA_TEXT} as text`,
  `select t.name, t.wr, t.strict, m.sql ${fromTables("join sqlite_master m on m.type = 'table' and m.name = t.name")}`,
  `select t.name as tbl, c.* ${fromTables('join pragma_table_xinfo(t.name) c')}, c.cid`,
  `select t.name as tbl, f.* ${fromTables('join pragma_foreign_key_list(t.name) f')}, f.id, f.seq`,
  `select t.name as tbl, l.name as "index", l."unique" as uniq, l.origin, i.seqno, i.name as "column"
    ${fromTables('join pragma_index_list(t.name) l join pragma_index_info(l.name) i')}, l.seq, i.seqno`,
  `select name, tbl_name as tbl, sql from sqlite_master where type = 'trigger' and ${isUsers('name')}`,
];

export const readSchemaStatements: readonly BoundStatement[] = READ_SCHEMA.map((sql) => ({ sql, params: [] }));

type Row = Readonly<Record<string, unknown>>;

/** Of the rows of {@link readSchemaStatements}. Pure. */
export function schemaOf(results: readonly (readonly Row[])[]): ShardSchema {
  const [[text] = [], tables = [], columns = [], foreignKeys = [], indexes = [], triggers = []] = results;
  const of = (rows: readonly Row[], table: string) => rows.filter((row) => row.tbl === table);
  const infos = tables
    .filter((row) => !isSystemTable(String(row.name)))
    .map((row) => {
      const table = String(row.name);
      return tableInfo(row, of(columns, table), of(foreignKeys, table), of(indexes, table));
    });
  return {
    tables: new Map(infos.map((info) => [foldName(info.name), info])),
    triggers: triggers.map((row) => ({
      name: String(row.name),
      table: String(row.tbl),
      event: eventOf(String(row.sql)),
      sql: String(row.sql),
    })),
    text: String(text?.text ?? ''),
  };
}

function tableInfo(row: Row, columns: readonly Row[], foreignKeys: readonly Row[], indexes: readonly Row[]): TableInfo {
  const name = String(row.name);
  const uniques = indexes.filter((index) => index.uniq === 1 && index.origin !== 'pk');
  const shape = shapeOf(
    { name, sql: String(row.sql) },
    columns as unknown as ColumnRow[],
    uniques as unknown as IndexRow[],
  );
  const form = [
    row.wr,
    row.strict,
    ...columns.map((column) => [
      column.name,
      String(column.type).toUpperCase(),
      column.notnull,
      column.pk,
      column.hidden,
    ]),
    shape.columns.map((column) => column.collation),
  ];
  const leading = new Set(indexes.filter((index) => index.seqno === 0).map((index) => String(index.column)));
  if (shape.rowidAlias !== undefined) leading.add(shape.rowidAlias);
  return {
    name,
    shape,
    stored: columns.filter((column) => column.hidden === 0).map((column) => String(column.name)),
    primaryKey: shape.primaryKey,
    withoutRowid: row.wr === 1,
    foreignKeys: foreignKeysOf(foreignKeys),
    form: JSON.stringify(form),
    isIndexed: (column) => leading.has(column),
  };
}

function foreignKeysOf(rows: readonly Row[]): ForeignKeyInfo[] {
  const byId = new Map<unknown, Row[]>();
  for (const row of rows) byId.set(row.id, [...(byId.get(row.id) ?? []), row]);
  return [...byId.values()].map((columns) => ({
    columns: columns.map((column) => String(column.from)),
    table: String(columns[0]?.table),
    foreignColumns: columns.flatMap((column) => (column.to === null ? [] : [String(column.to)])),
    onDelete: String(columns[0]?.on_delete).toUpperCase(),
  }));
}

/** CREATE TRIGGER [IF NOT EXISTS] name [BEFORE | AFTER | INSTEAD OF] event: https://www.sqlite.org/lang_createtrigger.html */
function eventOf(sql: string): TriggerInfo['event'] {
  const tokens = tokenize(sql);
  let at = tokens.findIndex((token) => isWord(token, 'trigger')) + 1;
  if (isWord(tokens[at], 'if')) at += 3;
  at += isOp(tokens[at + 1], '.') ? 3 : 1;
  if (isWord(tokens[at], 'before') || isWord(tokens[at], 'after')) at += 1;
  if (isWord(tokens[at], 'instead')) at += 2;
  return tokens[at]?.value as TriggerInfo['event'];
}
