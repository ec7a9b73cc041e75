import {
  blob,
  customType,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';

const nocase = customType<{ data: string; driverData: string }>({ dataType: () => 'text collate nocase' });

/** Sharded by its text primary key. */
export const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  nickname: text('nickname'),
  age: integer('age'),
  score: real('score'),
  email: nocase('email'),
  active: integer('active', { mode: 'boolean' }).notNull(),
  avatar: blob('avatar', { mode: 'buffer' }),
});

/** Lives with its user: the shard key is not the primary key. */
export const posts = sqliteTable(
  'posts',
  {
    id: text('id').primaryKey(),
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    slot: integer('slot').notNull(),
    title: nocase('title'),
    views: integer('views'),
    rating: numeric('rating'),
    ref: integer('ref'),
  },
  (table) => [uniqueIndex('posts_user_slot').on(table.userId, table.slot)],
);

/** Sharded by an integer; its user is on another shard more often than not. */
export const orders = sqliteTable('orders', {
  id: integer('id').primaryKey(),
  userRef: text('user_ref'),
  total: numeric('total'),
  placedAt: integer('placed_at', { mode: 'timestamp' }),
  status: text('status').notNull(),
  quantity: integer('quantity').default(1),
});

/** Lives with its order: a composite primary key. */
export const items = sqliteTable(
  'items',
  {
    orderId: integer('order_id')
      .notNull()
      .references(() => orders.id, { onDelete: 'cascade' }),
    line: integer('line').notNull(),
    sku: text('sku'),
    price: real('price'),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.line] })],
);

/** Whole on every shard. */
export const tags = sqliteTable('tags', {
  id: text('id').primaryKey(),
  label: nocase('label').notNull(),
  weight: integer('weight'),
});

/** Lives with its user, joins the replicated table. */
export const postTags = sqliteTable(
  'post_tags',
  {
    userId: text('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    postId: text('post_id').notNull(),
    tagId: text('tag_id')
      .notNull()
      .references(() => tags.id),
  },
  (table) => [primaryKey({ columns: [table.userId, table.postId, table.tagId] })],
);

/** Whole on one shard. */
export const settings = sqliteTable('settings', {
  name: text('name').primaryKey(),
  value: text('value'),
  version: integer('version').notNull().default(0),
});

export const schema = { users, posts, orders, items, tags, postTags, settings };

export type TableName = keyof typeof schema;

/** Where the rows live, as `shardedDrizzle` is told. */
export const rules = {
  posts: { key: 'userId' },
  items: { key: 'orderId' },
  tags: { replicated: true },
  postTags: { key: 'userId' },
  settings: { shard: 's0' },
} as const;

/** The same tables as DDL, in an order in which foreign keys can be made. */
export const ddl: readonly string[] = [
  `create table users (id text primary key not null, name text not null, nickname text, age integer, score real,
    email text collate nocase, active integer not null, avatar blob)`,
  `create table posts (id text primary key not null, user_id text not null references users (id) on delete cascade,
    slot integer not null, title text collate nocase, views integer, rating numeric, ref integer)`,
  'create unique index posts_user_slot on posts (user_id, slot)',
  `create table orders (id integer primary key, user_ref text, total numeric, placed_at integer, status text not null,
    quantity integer default 1)`,
  `create table items (order_id integer not null references orders (id) on delete cascade, line integer not null,
    sku text, price real, primary key (order_id, line))`,
  'create table tags (id text primary key not null, label text collate nocase not null, weight integer)',
  `create table post_tags (user_id text not null references users (id) on delete cascade, post_id text not null,
    tag_id text not null references tags (id), primary key (user_id, post_id, tag_id))`,
  'create table settings (name text primary key not null, value text, version integer not null default 0)',
];
