import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

export const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
});
export const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id').notNull(),
});
export const countries = sqliteTable('countries', { code: text('code').primaryKey() });

export const schema = { users, posts, countries };
export const tables = { posts: { key: 'userId' }, countries: { replicated: true } } as const;

const FILES = [
  [
    '0000_users',
    'CREATE TABLE `users` (`id` text PRIMARY KEY NOT NULL);\n--> statement-breakpoint\nCREATE TABLE `posts` (`id` integer PRIMARY KEY NOT NULL, `user_id` text NOT NULL);\n--> statement-breakpoint\nCREATE TABLE `countries` (`code` text PRIMARY KEY NOT NULL);',
  ],
  ['0001_name', "ALTER TABLE `users` ADD `name` text DEFAULT '' NOT NULL;"],
] as const;

/** As drizzle-kit 0.31 bundles them. */
export const journalBundle = {
  journal: { entries: FILES.map(([tag], idx) => ({ idx, when: Date.UTC(2026, 0, 1 + idx), tag })) },
  migrations: Object.fromEntries(FILES.map(([, sql], idx) => [`m000${idx}`, sql])),
};

/** As Drizzle 1.0 has them. */
export const folderBundle: Record<string, string> = Object.fromEntries(
  FILES.map(([tag, sql], idx) => [`2026010${1 + idx}000000_${tag.slice(5)}`, sql]),
);

/** Enough for every one of three shards to get some. */
export const people = Array.from({ length: 30 }, (_, i) => ({ id: `user-${i}`, name: `Name ${i}` }));
