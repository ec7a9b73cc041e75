import { affinityOf } from '../../layout/table';
import { compareSchemas } from '../../migrations/schema/compare';
import { inDropOrder } from '../../migrations/schema/drop-order';
import type { Schema, SchemaTable } from '../../migrations/schema/schema';
import { splitCommas } from '../../sql/reader';
import { foldName, isOp, quoteName, type Token, tokenize } from '../../sql/tokens';
import { keepingOf, unspoken } from './keep';
import { rebuildStatements, withDependants } from './rebuild';
import { lacking, type TableChange, tableChange } from './table-change';
import type { Wanted } from './wanted';

/** A database as it is. */
export interface Actual {
  /** What is the schema's business. */
  readonly schema: Schema;
  /** Tables that are not. */
  readonly foreign: readonly SchemaTable[];
  /** The CREATE TABLE of each table, by its folded name. */
  readonly create: ReadonlyMap<string, string>;
  /** With their SQL as it was written; a rebuilt table loses its own. */
  readonly triggers: readonly { readonly name: string; readonly table: string; readonly sql: string }[];
}

/** What has to be done, before it is known which tables have rows. */
export interface Changes {
  /** Tables of both sides, with how one becomes the other. */
  readonly tables: readonly { readonly from: SchemaTable; readonly to: SchemaTable; readonly change: TableChange }[];
  readonly created: readonly SchemaTable[];
  readonly dropped: readonly SchemaTable[];
  /** Folded names of those whose rows are set aside and come back. */
  readonly rebuilt: ReadonlySet<string>;
  /** What is wanted of this database. */
  readonly wanted: Schema;
}

/** Pure. */
export function changesOf({ schema: all }: Wanted, { schema, foreign }: Actual): Changes {
  const wanted = keepingOf(all, schema);
  const existing = new Map(schema.tables.map((table) => [foldName(table.name), table]));
  const known = new Set(wanted.tables.map(({ name }) => foldName(name)));
  const tables = wanted.tables.flatMap((to) => {
    const from = existing.get(foldName(to.name));
    return from ? [{ from, to, change: tableChange(to, from) }] : [];
  });
  const dropped = schema.tables.filter(({ name }) => !known.has(foldName(name)));
  const changed = tables.filter(({ change }) => change.kind === 'rebuild').map(({ to }) => foldName(to.name));
  const gone = new Set(dropped.map(({ name }) => foldName(name)));
  const along = withDependants(new Set([...changed, ...gone]), [...schema.tables, ...foreign]);
  return {
    tables,
    created: wanted.tables.filter(({ name }) => !existing.has(foldName(name))),
    dropped,
    rebuilt: new Set([...along].filter((name) => !gone.has(name))),
    wanted,
  };
}

/** The tables whose rows decide whether something is lost. */
export const tablesToCount = ({ tables, dropped }: Changes): string[] => [
  ...dropped.map(({ name }) => name),
  ...tables.filter(({ change }) => change.kind !== 'same').map(({ from }) => from.name),
];

/** Tables that lose nothing because they have no rows: that has to be so when the statements run, too. */
export const tablesToStayEmpty = ({ tables, dropped }: Changes, rows: ReadonlyMap<string, number>): string[] =>
  [
    ...dropped,
    ...tables
      .filter(({ from, to, change }) =>
        [change.dropped, retyped(from, to), computed(from, to)].some((one) => one.length),
      )
      .map(({ from }) => from),
  ].flatMap(({ name }) => (rows.get(name) ? [] : [name]));

export interface ShardStatements {
  readonly statements: readonly string[];
  /** What is worth knowing, one line each. */
  readonly warnings: readonly string[];
  /** What would be lost, one line each; empty: nothing. */
  readonly dataLoss: readonly string[];
  /** Why it cannot be done at all, with what to do. */
  readonly obstacles: readonly string[];
}

/**
 * All statements, as one batch.
 *
 * @param rows How many rows tables have, by name.
 */
export function statementsOf(
  wanted: Wanted,
  actual: Actual,
  changes: Changes,
  rows: ReadonlyMap<string, number>,
): ShardStatements {
  const { tables, created, dropped, rebuilt } = changes;
  const create = (name: string) => wanted.create.get(foldName(name)) as string;
  const isRebuilt = (table: string) => rebuilt.has(foldName(table));
  const isGone = (table: string) => dropped.some(({ name }) => foldName(name) === foldName(table));
  const rebuilds = tables
    .filter(({ to }) => isRebuilt(to.name))
    .map(({ from, to, change }) => {
      const own = change.kind === 'same' ? actual.create.get(foldName(from.name)) : undefined;
      return { from, to, create: own ?? create(to.name) };
    });
  const { setAside, restore } = rebuildStatements(rebuilds);
  const away = inDropOrder([...dropped, ...rebuilds.map(({ from }) => from)]);
  const others = compareSchemas({ ...changes.wanted, tables: [] }, { ...actual.schema, tables: [] });
  const of = (object: 'index' | 'view', ...kinds: string[]) =>
    others.filter((one) => one.object === object && kinds.includes(one.kind)).map(({ name }) => name);
  // A view takes its triggers along, too.
  const isChangedView = (view: string) => of('view', 'changed').some((name) => foldName(name) === foldName(view));
  const triggers = actual.triggers.filter(({ table }) => isRebuilt(table) || isChangedView(table));
  const tableOf = new Map(actual.schema.indexes.map(({ name, table }) => [foldName(name), table]));
  const isAway = (index: string) => [isGone, isRebuilt].some((test) => test(tableOf.get(foldName(index)) ?? ''));
  const fresh = wanted.schema.indexes.filter(({ table }) => isRebuilt(table)).map(({ name }) => name);
  const altered = tables.filter(({ to, change }) => change.kind === 'alter' && !isRebuilt(to.name));
  const statements = [
    // Rows that come back are no new ones.
    ...triggers.map(({ name }) => `DROP TRIGGER ${quoteName(name)}`),
    ...of('view', 'extra', 'changed').map((name) => `DROP VIEW ${quoteName(name)}`),
    ...of('index', 'extra', 'changed')
      .filter((name) => !isAway(name))
      .map((name) => `DROP INDEX ${quoteName(name)}`),
    ...setAside,
    ...away.map(({ name }) => `DROP TABLE ${quoteName(name)}`),
    ...rebuilds.map((one) => one.create),
    ...created.map(({ name }) => create(name)),
    ...altered.flatMap(({ to, change }) => [
      ...change.dropped.map(({ name }) => `ALTER TABLE ${quoteName(to.name)} DROP COLUMN ${quoteName(name)}`),
      ...change.added.map(({ name }) => `ALTER TABLE ${quoteName(to.name)} ADD ${columnText(create(to.name), name)}`),
    ]),
    // A foreign key may need a unique one of them.
    ...[...new Set([...of('index', 'missing', 'changed'), ...fresh])].map(create),
    ...restore,
    ...of('view', 'missing', 'changed').map(create),
    ...triggers.map(({ sql }) => sql),
  ];
  return {
    statements: away.length > 0 ? ['PRAGMA defer_foreign_keys = on', ...statements] : statements,
    warnings: warningsOf(changes),
    dataLoss: lossesOf(changes, rows),
    obstacles: [...renamesOf(changes), ...unfilledOf(changes, rows), ...heldBy(changes, actual.foreign)],
  };
}

/** The column as CREATE TABLE has it. */
function columnText(create: string, column: string): string {
  const tokens = tokenize(create);
  const open = tokens.findIndex((token) => isOp(token, '('));
  const found = splitCommas(tokens, { from: open + 1, to: (tokens[open] as Token).match }).find(
    ({ from }) => foldName((tokens[from] as Token).value) === foldName(column),
  );
  return found ? create.slice(tokens[found.from]?.start, tokens[found.to - 1]?.end) : quoteName(column);
}

function warningsOf({ tables, rebuilt }: Changes): string[] {
  const along = tables.filter(({ to, change }) => change.kind !== 'rebuild' && rebuilt.has(foldName(to.name)));
  return along.map(
    ({ to }) =>
      `${to.name} is rebuilt as well: it refers with ON DELETE to a table that is rebuilt, and would lose its rows.`,
  );
}

function lossesOf({ tables, dropped, rebuilt }: Changes, rows: ReadonlyMap<string, number>): string[] {
  const count = (table: string) => `${rows.get(table) ?? 0} rows`;
  return [
    ...dropped.map(({ name }) => `table ${name} with ${count(name)} is not in the schema, and is dropped`),
    ...tables.flatMap(({ from, change }) =>
      rows.get(from.name)
        ? change.dropped.map(({ name }) => `column ${from.name}.${name} is dropped, in ${count(from.name)}`)
        : [],
    ),
    ...tables.flatMap(({ from, to }) =>
      rows.get(from.name)
        ? [
            ...retyped(from, to).map((text) => `${text}: values of ${count(from.name)} may become other ones`),
            ...computed(from, to).map(
              (name) => `${name} is computed from now on: its values in ${count(from.name)} go`,
            ),
          ]
        : [],
    ),
    ...tables
      .filter(({ to, change }) => change.kind !== 'same' && rebuilt.has(foldName(to.name)))
      .flatMap(({ from }) =>
        unspoken(from).map((what) => `${from.name} loses ${what}, which Drizzle has no words for`),
      ),
  ];
}

/** Tables that cannot be made anew along with what they refer to. */
const heldBy = ({ rebuilt }: Changes, foreign: readonly SchemaTable[]): string[] =>
  foreign
    .filter(({ name }) => rebuilt.has(foldName(name)))
    .map(
      ({ name }) =>
        `${name} refers with ON DELETE to a table that has to be rebuilt or dropped, and is not to be touched. Write a migration.`,
    );

/** Columns whose values SQLite would convert. */
function retyped(from: SchemaTable, to: SchemaTable): string[] {
  return to.columns.flatMap(({ name, type }) => {
    const was = from.columns.find((column) => foldName(column.name) === foldName(name));
    return was && affinityOf(was.type) !== affinityOf(type)
      ? [`${to.name}.${name} becomes ${type}, and was ${was.type || 'untyped'}`]
      : [];
  });
}

/** Columns whose values were written, and give way to an expression. */
const computed = (from: SchemaTable, to: SchemaTable): string[] =>
  to.columns
    .filter(({ name, generated }) => {
      const was = from.columns.find((column) => foldName(column.name) === foldName(name));
      return generated && was && !was.generated;
    })
    .map(({ name }) => `${to.name}.${name}`);

/** drizzle-kit would ask. Here nobody can be asked for each shard. */
function renamesOf({ tables, created, dropped }: Changes): string[] {
  const remedy = 'Write a migration that renames it; or push without the new one first, and then with it.';
  const columns = tables.flatMap(({ to, change }) =>
    change.added.flatMap((added) =>
      change.dropped
        .filter(({ type }) => type === added.type)
        .map(({ name }) => `${to.name}.${name} looks as if it was renamed to ${added.name}. ${remedy}`),
    ),
  );
  const isSame = (a: SchemaTable, b: SchemaTable) =>
    lacking(a.columns, b.columns).length === 0 && lacking(b.columns, a.columns).length === 0;
  const renamed = created.flatMap((added) =>
    dropped
      .filter((table) => isSame(table, added))
      .map(({ name }) => `The table ${name} looks as if it was renamed to ${added.name}. ${remedy}`),
  );
  return [...renamed, ...columns];
}

/** drizzle-kit would delete the rows. */
function unfilledOf({ tables }: Changes, rows: ReadonlyMap<string, number>): string[] {
  return tables.flatMap(({ from, change }) =>
    change.added
      .filter(
        ({ notNull, default: value, generated }) => rows.get(from.name) && notNull && value === undefined && !generated,
      )
      .map(
        ({ name }) =>
          `${from.name}.${name} is NOT NULL without a default, and the table has ${rows.get(from.name)} rows. Give it a default, or write a migration that fills it.`,
      ),
  );
}
