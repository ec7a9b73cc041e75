import { asc, desc, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';
import { type TableSpec, tableSpec } from '../catalog';
import { buildCondition, buildExpression } from '../queries/build-condition';
import type { Builder } from '../queries/builder';
import { at, type Context, type Field } from '../queries/scope';
import type { TableName } from '../schema';
import type { Level, RelationalQuery } from './recipe';

/** What `findMany` and `findFirst` of drizzle-orm 0.45 take. */
export interface Find {
  readonly columns?: Readonly<Record<string, boolean>>;
  readonly where?: (columns: Columns) => SQL | undefined;
  readonly orderBy?: (columns: Columns) => SQLWrapper[];
  readonly limit?: number;
  readonly offset?: number;
  readonly extras?: (columns: Columns) => Record<string, SQL.Aliased>;
  readonly with?: Readonly<Record<string, Find>>;
}

type Columns = Readonly<Record<string, SQLiteColumn>>;

/** Tables that `db.query` is asked for, and where their relations lead. */
const RELATIONS: readonly {
  readonly table: TableName;
  readonly to: readonly (readonly [name: string, table: TableName, many: boolean])[];
}[] = [
  {
    table: 'users',
    to: [
      ['posts', 'posts', true],
      ['orders', 'orders', true],
      ['postTags', 'postTags', true],
    ],
  },
  {
    table: 'posts',
    to: [
      ['author', 'users', false],
      ['postTags', 'postTags', true],
    ],
  },
  {
    table: 'orders',
    to: [
      ['items', 'items', true],
      ['user', 'users', false],
    ],
  },
  { table: 'items', to: [['order', 'orders', false]] },
  { table: 'tags', to: [['postTags', 'postTags', true]] },
  {
    table: 'postTags',
    to: [
      ['tag', 'tags', false],
      ['user', 'users', false],
      ['post', 'posts', false],
    ],
  },
];

/** JSON has no blobs, and Drizzle nests rows as JSON. */
const NO_JSON: ReadonlySet<string> = new Set(['avatar', 'views']);

export interface BuiltFind {
  readonly table: TableName;
  readonly find: Find;
  readonly first: boolean;
  /** The rows, and the rows within them, have an order. */
  readonly ordered: boolean;
  readonly nestedOrdered: boolean;
}

export function buildFind(builder: Builder, { table, first, level }: RelationalQuery): BuiltFind {
  const { table: name } = at(RELATIONS, table);
  const context: Context = { builder, ctes: [], names: { next: 0 } };
  const state = { nestedOrdered: true };
  const fixed = first ? { ...level, total: true } : level;
  const find = buildLevel(context, tableSpec(name), fixed, { many: true, nested: false }, state);
  return { table: name, find, first, ordered: isOrdered(fixed), nestedOrdered: state.nestedOrdered };
}

/** With a limit the order is always completed: which rows come would be open. */
const isOrdered = ({ total, limit }: Level): boolean => total || limit !== undefined;

function buildLevel(
  context: Context,
  spec: TableSpec,
  level: Level,
  place: { many: boolean; nested: boolean },
  state: { nestedOrdered: boolean },
): Find {
  const names = Object.keys(spec.columns).filter((name) => !(place.nested && NO_JSON.has(name)));
  const chosen = level.columns ? level.columns.map((n) => at(names, n)) : names;
  const ordered = isOrdered(level);
  const relations = RELATIONS.find(({ table }) => table === spec.name)?.to ?? [];
  const nested =
    relations.length === 0
      ? []
      : level.with.map(({ relation, level: inner }) => ({ to: at(relations, relation), inner }));
  const within = nested.map(({ to: [name, table, many], inner }) => {
    if (many && !isOrdered(inner)) state.nestedOrdered = false;
    return [name, buildLevel(context, tableSpec(table), inner, { many, nested: true }, state)] as const;
  });
  const { extra, where, limit, offset } = level;
  const text = names.filter((name) => spec.columns[name]?.kind === 'text');
  return {
    columns: Object.fromEntries(chosen.map((name) => [name, true])),
    ...(extra !== undefined && {
      extras: (columns) => ({ extra: sql`lower(${columns[at(text, extra)]}) || '!'`.as('extra') }),
    }),
    ...(within.length > 0 && { with: Object.fromEntries(within) }),
    // The row that a `one` relation leads to is given by its key.
    ...(place.many && {
      ...(where && { where: (columns) => buildCondition(context, scopeOf(spec, columns), where) }),
      ...((ordered || level.order.length > 0) && {
        orderBy: (columns) => orderOf(context, spec, columns, level, ordered),
      }),
      ...(limit !== undefined && { limit, ...(offset !== undefined && !place.nested && { offset }) }),
    }),
  };
}

function orderOf(context: Context, spec: TableSpec, columns: Columns, level: Level, complete: boolean): SQL[] {
  const scope = scopeOf(spec, columns);
  const terms = level.order.flatMap((order) => {
    const { node, constant } = buildExpression(context, scope, order.by);
    const directed = (order.descending ? desc : asc)(node);
    return constant ? [] : [order.nulls ? sql`${directed} nulls ${sql.raw(order.nulls)}` : directed];
  });
  return complete ? [...terms, ...spec.primaryKey.map((name) => asc(columnOf(columns, name)))] : terms;
}

function scopeOf(spec: TableSpec, columns: Columns): Field[] {
  return Object.entries(spec.columns).map(([name, { kind, samples, domain, nocase = false, sums = false }]) => ({
    node: columnOf(columns, name),
    kind,
    samples,
    domain,
    nocase,
    sums,
  }));
}

function columnOf(columns: Columns, name: string): SQLiteColumn {
  const column = columns[name];
  if (!column) throw new Error(`No column ${name}.`);
  return column;
}
