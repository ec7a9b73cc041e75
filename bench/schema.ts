import { relations } from 'drizzle-orm';
import { sqliteTable, text } from 'drizzle-orm/sqlite-core';

export const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  email: text('email').notNull(),
});

export const posts = sqliteTable('posts', {
  id: text('id').primaryKey(),
  userId: text('user_id')
    .notNull()
    .references(() => users.id),
  title: text('title').notNull(),
});

export const usersRelations = relations(users, ({ many }) => ({ posts: many(posts) }));
export const postsRelations = relations(posts, ({ one }) => ({
  author: one(users, { fields: [posts.userId], references: [users.id] }),
}));

export const schema = { users, posts, usersRelations, postsRelations };

/** Posts lie with their user, so that a user's page needs one database. */
export const tables = { posts: { key: 'userId' } } as const;

export const ddl = [
  'create table users (id text primary key, name text not null, email text not null)',
  'create index users_name on users (name)',
  'create table posts (id text primary key, user_id text not null references users (id), title text not null)',
  'create index posts_user on posts (user_id)',
];
