import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { type ShardedConfig, shardedDrizzle } from '../../src';
import type { Isolate } from '../support/isolates';

export const users = sqliteTable('users', {
  id: text('id').primaryKey(),
  email: text('email'),
  visits: integer('visits').notNull().default(0),
});
export const countries = sqliteTable('countries', { code: text('code').primaryKey() });
const schema = { users, countries };

/** The files of a folder of drizzle-kit 0.31, and a bundle of the first so many. */
export const FILES: readonly (readonly [tag: string, sql: string])[] = [
  [
    '0000_users',
    'CREATE TABLE `users` (`id` text PRIMARY KEY NOT NULL, `email` text);\n--> statement-breakpoint\nCREATE TABLE `countries` (`code` text PRIMARY KEY NOT NULL);',
  ],
  ['0001_visits', 'ALTER TABLE `users` ADD `visits` integer DEFAULT 0 NOT NULL;'],
  // Applied twice, it would show.
  ['0002_counted', 'UPDATE `users` SET `visits` = `visits` + 1;\n--> statement-breakpoint\n-- nothing more\n'],
  ['0003_email', 'CREATE UNIQUE INDEX `users_email` ON `users` (`email`);'],
];
const FIRST = Date.UTC(2026, 0, 31, 12);
const DAY = 86_400_000;

export type Files = readonly (readonly [tag: string, sql: string])[];

/** As drizzle-kit 0.31 bundles them. */
export const bundleOf = (files: Files = FILES) => ({
  journal: {
    version: '7',
    dialect: 'sqlite',
    entries: files.map(([tag], idx) => ({
      idx,
      version: '6',
      when: FIRST + Number(tag.slice(0, 4)) * DAY,
      tag,
      breakpoints: true,
    })),
  },
  migrations: Object.fromEntries(files.map(([, sql], idx) => [`m${String(idx).padStart(4, '0')}`, sql])),
});

/** As Drizzle 1.0 has them: `20260131120000_users`, a day apart. */
export const foldersOf = (files: Files = FILES): Record<string, string> =>
  Object.fromEntries(
    files.map(([tag, sql]) => {
      const time = new Date(FIRST + Number(tag.slice(0, 4)) * DAY).toISOString().replace(/\D/g, '').slice(0, 14);
      return [`${time}${tag.slice(4)}`, sql];
    }),
  );

export const open = ({ config }: Pick<Isolate, 'config'>, options: Partial<ShardedConfig> = {}) =>
  shardedDrizzle({ ...config, schema, tables: { countries: { replicated: true } }, moveTimeout: 5000, ...options });
