import { and, asc, desc, eq, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core';
import {
  type Cell,
  LINES,
  ORDER_IDS,
  postId,
  SETTING_NAMES,
  SLOTS,
  TABLES,
  TAG_IDS,
  type TableSpec,
  tableSpec,
  USER_IDS,
} from '../catalog';
import { buildCondition, buildExpression } from '../queries/build-condition';
import type { Condition } from '../queries/recipe';
import { at, type Context, type Source, tableAt, tableSource } from '../queries/scope';
import type { TableName } from '../schema';
import type { WriteBuilder, WriteChain } from './builder';
import type { Assignment, Few, Insert, Returning, RowRecipe, Step, Write } from './recipe';

/** Beyond the keys that the data may have, as many that it never has. */
const NEW_USERS = [...USER_IDS, ...USER_IDS.map((id) => `${id}+`)];
const NEW_ORDERS = [...ORDER_IDS, ...ORDER_IDS.map((id) => 2001 + (id % 1000))];

/**
 * The key columns of a row. A post's id is made of its user's, for a D1 by itself cannot know that the id is taken on
 * another: that two shards hold the same id is what the configuration answers for.
 */
const KEYS: Readonly<Record<TableName, (keys: readonly [number, number, number]) => Readonly<Record<string, Cell>>>> = {
  users: ([a]) => ({ id: at(NEW_USERS, a) }),
  posts: ([a, b]) => ({ id: postId(at(USER_IDS, a), at(SLOTS, b)), userId: at(USER_IDS, a), slot: at(SLOTS, b) }),
  orders: ([a]) => ({ id: at(NEW_ORDERS, a) }),
  items: ([a, b]) => ({ orderId: at(ORDER_IDS, a), line: at(LINES, b) }),
  tags: ([a]) => ({ id: at([...TAG_IDS, 'new'], a) }),
  postTags: ([a, b, c]) => ({
    userId: at(USER_IDS, a),
    postId: postId(at(USER_IDS, a + b), at(SLOTS, b)),
    tagId: at(TAG_IDS, c),
  }),
  settings: ([a]) => ({ name: at([...SETTING_NAMES, 'new'], a) }),
};

/** What may be set: not what tells a row from those of other shards, which no shard sees. */
const SETTABLE: Readonly<Record<TableName, readonly string[]>> = {
  users: ['name', 'nickname', 'age', 'score', 'email', 'active', 'avatar'],
  posts: ['title', 'views', 'rating', 'ref', 'slot'],
  orders: ['status', 'userRef', 'total', 'placedAt', 'quantity'],
  items: ['sku', 'price', 'line'],
  tags: ['weight', 'label'],
  postTags: ['tagId', 'postId'],
  settings: ['value', 'version'],
};

/** SQLite checks uniqueness row by row: whether `slot + 1` fails depends on which row comes first. */
const UNIQUE_PARTS: ReadonlySet<string> = new Set(['slot', 'line', 'tagId', 'postId']);

const USER_TABLES = ['users', 'posts', 'postTags'] as const;

/** The write to the rows of one user alone: another table and other keys where it has to be. */
function forUser(write: Write, user: number): Write {
  if (write.type === 'insert select' || write.type === 'update from') return { ...write, user };
  const table = TABLES.indexOf(tableSpec(at(USER_TABLES, write.table)));
  if (write.type !== 'insert') return { ...write, table, user };
  return {
    ...write,
    table,
    rows: write.rows.map((row) => ({ ...row, keys: [user % USER_IDS.length, ...row.keys.slice(1)] })),
  };
}

/** The writes of a step, one or those of a batch. */
export function writesOf(step: Step): readonly Write[] {
  if (step.type !== 'batch') return [step];
  const { of, user } = step;
  return user === undefined ? of : of.map((write) => forUser(write, user));
}

export function buildWrite(builder: WriteBuilder, write: Write): WriteChain {
  const context: Context = { builder, ctes: [], names: { next: 0 } };
  switch (write.type) {
    case 'insert':
      return buildInsert(context, builder, write);
    case 'insert select': {
      const posts = tableSource(context, tableSpec('posts'), false);
      const [id, userId] = posts.fields.map(({ node }) => node);
      const query = builder
        .select({
          userId: sql`${userId}`.as('user_id'),
          postId: sql`${id}`.as('post_id'),
          tagId: sql`${at(TAG_IDS, write.tag)}`.as('tag_id'),
        })
        .from(posts.relation)
        // Without WHERE, ON CONFLICT would be read as the ON of a join.
        .where(and(sql`true`, ofUser(tableSpec('posts'), write.user), whereOf(context, posts, write.where)));
      const target = tableSource(context, tableSpec('postTags'), false);
      return returned(
        builder.insert(tableSpec('postTags').table).select(query).onConflictDoNothing(),
        target,
        write.returning,
      );
    }
    case 'update': {
      const spec = tableAt(write.table);
      const source = tableSource(context, spec, false);
      const set = assignments(context, spec, source, write.set);
      const key = shardKey(spec);
      if (write.key !== undefined && key) set[key] = at(spec.columns[key]?.cells ?? [null], write.key);
      const chain = builder
        .update(spec.table)
        .set(set)
        .where(and(ofUser(spec, write.user), whereOf(context, source, write.where)));
      return returned(limited(context, chain, source, write.few), source, write.returning);
    }
    case 'update from':
      return buildUpdateFrom(context, builder, write);
    case 'delete': {
      const spec = tableAt(write.table);
      const source = tableSource(context, spec, false);
      const chain = builder
        .delete(spec.table)
        .where(and(ofUser(spec, write.user), whereOf(context, source, write.where)));
      return returned(limited(context, chain, source, write.few), source, write.returning);
    }
  }
}

/** The property by which the rows of the table are spread. */
function shardKey({ name, primaryKey }: TableSpec): string | undefined {
  if (name === 'posts' || name === 'postTags') return 'userId';
  return name === 'tags' || name === 'settings' ? undefined : primaryKey[0];
}

function buildInsert(context: Context, builder: WriteBuilder, insert: Insert): WriteChain {
  const spec = tableAt(insert.table);
  const source = tableSource(context, spec, false);
  const chain = builder.insert(spec.table).values(insert.rows.map((row) => rowOf(context, spec, row)));
  return returned(withConflict(context, chain, spec, source, insert), source, insert.returning);
}

function rowOf(context: Context, spec: TableSpec, { keys, cells, computed }: RowRecipe): Record<string, unknown> {
  const fixed = KEYS[spec.name](keys as [number, number, number]);
  const rest = Object.entries(spec.columns).filter(([name]) => !(name in fixed));
  const row: Record<string, unknown> = { ...fixed };
  for (const [i, [name, { cells: choice }]] of rest.entries()) row[name] = at(choice, cells[i] ?? 0);
  const last = rest.at(-1)?.[0];
  // A value sees no columns: only what stands by itself can be worked out.
  if (computed && last && (computed.type === 'scalar' || computed.type === 'value')) {
    row[last] =
      sql`${buildExpression(context, tableSource(context, tableSpec('tags'), true).fields, alone(computed)).node}`;
  }
  return row;
}

/** A subquery that refers to nothing around it. */
function alone<T extends NonNullable<RowRecipe['computed']>>(expression: T): T {
  return expression.type === 'scalar'
    ? { ...expression, of: { ...expression.of, linked: false, where: undefined } }
    : expression;
}

function withConflict(
  context: Context,
  chain: WriteChain,
  spec: TableSpec,
  source: Source,
  { conflict }: Insert,
): WriteChain {
  if (!conflict) return chain;
  if (conflict.type === 'nothing' && conflict.target === 'none') return chain.onConflictDoNothing();
  const names = conflict.target === 'unique' && spec.name === 'posts' ? ['userId', 'slot'] : spec.primaryKey;
  const target = names.map((name) => columnOf(spec, name));
  if (conflict.type === 'nothing') return chain.onConflictDoNothing({ target });
  const set = assignments(context, spec, source, conflict.set);
  return chain.onConflictDoUpdate({ target, set, setWhere: whereOf(context, source, conflict.where) });
}

function assignments(
  context: Context,
  spec: TableSpec,
  source: Source,
  list: readonly Assignment[],
): Record<string, unknown> {
  const set: Record<string, unknown> = {};
  for (const { column, value } of list) {
    const name = at(SETTABLE[spec.name], column);
    if (value.type === 'excluded') set[name] = sql`excluded.${sql.identifier(columnOf(spec, name).name)}`;
    else if (value.type !== 'cell' && !UNIQUE_PARTS.has(name))
      set[name] = sql`${buildExpression(context, source.fields, value).node}`;
    else set[name] = at(spec.columns[name]?.cells ?? [null], value.type === 'cell' ? value.n : column);
  }
  return set;
}

/** Pairs of tables, by columns that lead from the first to one row of the second at most. */
export const PAIRS: readonly (readonly [TableName, string, TableName, string])[] = [
  ['posts', 'userId', 'users', 'id'],
  ['items', 'orderId', 'orders', 'id'],
  ['posts', 'userId', 'users', 'id'],
  ['items', 'orderId', 'orders', 'id'],
  ['orders', 'userRef', 'users', 'id'],
];

function buildUpdateFrom(
  context: Context,
  builder: WriteBuilder,
  write: Extract<Write, { type: 'update from' }>,
): WriteChain {
  const [target, reference, other, key] = at(PAIRS, write.user === undefined ? write.pair : 0);
  const spec = tableSpec(target);
  const from = tableSource(context, tableSpec(other), false);
  const source = tableSource(context, spec, false);
  const names = SETTABLE[target].filter((name) => !UNIQUE_PARTS.has(name));
  return builder
    .update(spec.table)
    .set({ [at(names, write.column)]: sql`${at(from.fields, write.from).node}` })
    .from(from.relation)
    .where(
      and(
        eq(columnOf(spec, reference), columnOf(tableSpec(other), key)),
        ofUser(spec, write.user),
        whereOf(context, source, write.where),
      ),
    );
}

function limited(context: Context, chain: WriteChain, source: Source, few: Few | undefined): WriteChain {
  if (!few) return chain;
  const by: SQLWrapper[] = source.key.map(({ node }) => asc(node));
  if (few.order) {
    const { node, constant } = buildExpression(context, source.fields, few.order.by);
    if (!constant) by.unshift((few.order.descending ? desc : asc)(node));
  }
  return chain.orderBy(...by).limit(few.limit);
}

function returned(chain: WriteChain, source: Source, returning: Returning): WriteChain {
  if (returning === 'none') return chain;
  if (returning === 'all') return chain.returning();
  const [first, second] = [at(source.fields, 1), at(source.fields, 2)];
  return chain.returning({
    key: at(source.key, 0).node,
    first: first.node,
    second: sql`typeof(${second.node})`.as('kind'),
  });
}

function ofUser(spec: TableSpec, user: number | undefined): SQL | undefined {
  return user === undefined
    ? undefined
    : eq(columnOf(spec, spec.name === 'users' ? 'id' : 'userId'), at(USER_IDS, user));
}

function whereOf(context: Context, source: Source, where: Condition | undefined) {
  return where && buildCondition(context, source.fields, where);
}

function columnOf(spec: TableSpec, name: string): SQLiteColumn {
  const column = (spec.table as unknown as Readonly<Record<string, SQLiteColumn>>)[name];
  if (!column) throw new Error(`No column ${spec.name}.${name}.`);
  return column;
}
