import { foldName } from '../../sql/tokens';
import type { Schema, SchemaColumn, SchemaForeignKey, SchemaIndex, SchemaTable, SchemaText } from './schema';

/** One thing in which a database is not as it should be. */
export interface SchemaDifference {
  /** `extra`: it is in the database, and in no migration. */
  readonly kind: 'missing' | 'extra' | 'changed';
  readonly object: 'table' | 'column' | 'constraint' | 'index' | 'view' | 'trigger' | 'virtual table';
  /** `users`, `users.email`, `users_email`. */
  readonly name: string;
  /** One line for people: `users.email: type TEXT here, should be INTEGER`. */
  readonly message: string;
}

/**
 * In what a database differs from what it should be. The order of columns is no difference: ALTER TABLE and a rebuilt table
 * give different ones. Pure.
 *
 * @example
 * compareSchemas(await expected(applied), await describeSchema(env.DB)).map(({ message }) => message);
 * // ['users.email: type TEXT here, should be INTEGER', 'table notes is missing']
 */
export function compareSchemas(expected: Schema, actual: Schema): SchemaDifference[] {
  return [
    ...paired('table', expected.tables, actual.tables, tableChanges),
    ...paired('index', expected.indexes, actual.indexes, indexChanges),
    ...paired('view', expected.views, actual.views, textChanges('view')),
    ...paired('trigger', expected.triggers, actual.triggers, textChanges('trigger')),
    ...paired('virtual table', expected.virtualTables, actual.virtualTables, textChanges('virtual table')),
  ];
}

type Kind = SchemaDifference['object'];

function paired<T extends { readonly name: string }>(
  object: Kind,
  expected: readonly T[],
  actual: readonly T[],
  changes: (should: T, is: T) => SchemaDifference[],
  nameOf: (one: T) => string = ({ name }) => name,
): SchemaDifference[] {
  const found = new Map(actual.map((one) => [foldName(one.name), one]));
  const known = new Set(expected.map(({ name }) => foldName(name)));
  return [
    ...expected.flatMap((should) => {
      const is = found.get(foldName(should.name));
      return is ? changes(should, is) : [missing(object, nameOf(should))];
    }),
    ...actual.filter(({ name }) => !known.has(foldName(name))).map((one) => extra(object, nameOf(one))),
  ];
}

const missing = (object: Kind, name: string, what = `${object} ${name}`): SchemaDifference => ({
  kind: 'missing',
  object,
  name,
  message: `${what} is missing`,
});

const extra = (object: Kind, name: string, what = `${object} ${name}`): SchemaDifference => ({
  kind: 'extra',
  object,
  name,
  message: `${what} is not in the migrations`,
});

function tableChanges(should: SchemaTable, is: SchemaTable): SchemaDifference[] {
  const { name } = should;
  const columnName = (column: SchemaColumn) => `${name}.${column.name}`;
  const change = trait('table', name, name);
  return [
    ...paired('column', should.columns, is.columns, (a, b) => columnChanges(columnName(a), a, b), columnName),
    ...change('primary key', listText(should.primaryKey), listText(is.primaryKey)),
    ...change('autoincrement', yes(should.autoincrement), yes(is.autoincrement)),
    ...change('strict', yes(should.strict), yes(is.strict)),
    ...change('without rowid', yes(should.withoutRowid), yes(is.withoutRowid)),
    ...constraints(name, should.uniques.map(uniqueText), is.uniques.map(uniqueText)),
    ...constraints(name, should.foreignKeys.map(foreignKeyText), is.foreignKeys.map(foreignKeyText)),
    ...constraints(name, should.checks.map(checkText), is.checks.map(checkText)),
  ];
}

function columnChanges(name: string, should: SchemaColumn, is: SchemaColumn): SchemaDifference[] {
  const change = trait('column', name, name);
  return [
    ...change('type', should.type || 'none', is.type || 'none'),
    ...change('not null', yes(should.notNull), yes(is.notNull)),
    ...change('default', should.default ?? 'none', is.default ?? 'none'),
    ...change('collation', should.collation, is.collation),
    ...change('generated', generatedText(should), generatedText(is)),
  ];
}

const indexChanges = (should: SchemaIndex, is: SchemaIndex): SchemaDifference[] =>
  trait('index', should.name, `index ${should.name}`)(undefined, indexText(should), indexText(is));

/** Such text is too long for a line. */
const textChanges =
  (object: Kind) =>
  (should: SchemaText, is: SchemaText): SchemaDifference[] =>
    should.sql === is.sql
      ? []
      : [
          {
            kind: 'changed',
            object,
            name: should.name,
            message: `${object} ${should.name}: its SQL is another one than in the migrations`,
          },
        ];

/** Differences in one thing that has a value on both sides. */
const trait =
  (object: Kind, name: string, subject: string) =>
  (what: string | undefined, should: string, is: string): SchemaDifference[] =>
    should === is
      ? []
      : [
          {
            kind: 'changed',
            object,
            name,
            message: `${subject}: ${what === undefined ? '' : `${what} `}${is} here, should be ${should}`,
          },
        ];

/** Constraints have no names that count: what they say is what they are. The same one may be declared twice. */
function constraints(table: string, should: readonly string[], is: readonly string[]): SchemaDifference[] {
  const lacks = (list: readonly string[], others: readonly string[]) =>
    [...new Set(list)].filter((text) => !others.includes(text));
  return [
    ...lacks(should, is).map((text) => missing('constraint', table, `${table}: ${text}`)),
    ...lacks(is, should).map((text) => extra('constraint', table, `${table}: ${text}`)),
  ];
}

const yes = (is: boolean): string => (is ? 'yes' : 'no');
const listText = (names: readonly string[]): string =>
  names.length > 0 ? `(${names.map(foldName).join(', ')})` : 'none';
const uniqueText = (columns: readonly string[]): string => `unique ${listText(columns)}`;
const checkText = (check: string): string => `check (${check})`;

const generatedText = ({ generated }: SchemaColumn): string =>
  generated ? `as (${generated.as}) ${generated.stored ? 'stored' : 'virtual'}` : 'no';

const indexText = ({ table, unique, terms, where }: SchemaIndex): string =>
  `${unique ? 'unique ' : ''}on ${foldName(table)} (${terms.join(', ')})${where === undefined ? '' : ` where ${where}`}`;

function foreignKeyText({ columns, table, foreignColumns, onDelete, onUpdate }: SchemaForeignKey): string {
  const action = (on: string, what: string) => (what === 'no action' ? '' : ` on ${on} ${what}`);
  const parent = `${foldName(table)}${foreignColumns.length > 0 ? ` ${listText(foreignColumns)}` : ''}`;
  return `foreign key ${listText(columns)} references ${parent}${action('delete', onDelete)}${action('update', onUpdate)}`;
}
