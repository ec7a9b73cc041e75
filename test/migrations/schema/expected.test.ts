import { beforeEach, describe, expect, it } from 'vitest';
import { compareSchemas, describeSchema, expectedSchema, type Migration, readMigrations } from '../../../src';
import { countingShards } from '../../support/counting-d1';
import { resetDatabases } from '../../support/reset';
import { plain, shards } from '../../support/shards';
import { bundleOf, FILES, type Files } from '../fixture';

beforeEach(resetDatabases);

const BREAK = '\n--> statement-breakpoint\n';
const migrationsOf = (files: Files = FILES): readonly Migration[] => readMigrations(bundleOf(files)).migrations;

/** As drizzle-kit rebuilds a table that another one refers to. */
const REBUILD: Files = [
  [
    '0000_posts',
    [
      'CREATE TABLE `users` (`id` text PRIMARY KEY NOT NULL, `name` text)',
      'CREATE TABLE `posts` (`id` text PRIMARY KEY NOT NULL, `user` text REFERENCES `users`(`id`) ON DELETE CASCADE)',
      "INSERT INTO `posts` VALUES ('a', 'someone whom the shards have')",
    ].join(BREAK),
  ],
  [
    '0001_rebuild',
    [
      'PRAGMA foreign_keys=OFF;',
      'CREATE TABLE `__new_users` (`id` text PRIMARY KEY NOT NULL, `name` text NOT NULL, CONSTRAINT "named" CHECK("__new_users"."name" <> \'\'));',
      'INSERT INTO `__new_users`("id", "name") SELECT "id", "name" FROM `users`;',
      'DROP TABLE `users`;',
      'ALTER TABLE `__new_users` RENAME TO `users`;',
      'PRAGMA foreign_keys=ON;',
    ].join(BREAK),
  ],
];

/** What drizzle-kit writes for tables that were there. */
const PULLED: Files = [
  [
    '0000_pulled',
    `-- Current sql file\n/*\nCREATE TABLE \`a\` (\`id\` text);${BREAK}CREATE TABLE \`b\` (\`id\` text);\n*/`,
  ],
  ['0001_more', 'ALTER TABLE `a` ADD `name` text'],
];

it('is what the files make, also where they rebuild a table', async () => {
  const expected = expectedSchema(plain);
  for (const files of [FILES, REBUILD]) {
    const schema = await expected(migrationsOf(files));
    await resetOther();
    for (const { sql } of migrationsOf(files)) {
      const statements = sql
        .split('--> statement-breakpoint')
        .filter((text) => !/^\s*(--|INSERT INTO `posts`)/.test(text));
      await other().batch(statements.map((text) => other().prepare(text)));
    }
    expect(schema && compareSchemas(schema, await describeSchema(other()))).toEqual([]);
  }
  const rebuilt = await expected(migrationsOf(REBUILD));
  expect(rebuilt?.tables.map(({ name, checks }) => [name, checks])).toEqual([
    ['posts', []],
    ['users', ["name <> ''"]],
  ]);
});

it('applies each file once, whatever number of shards asks for whichever of them', async () => {
  const { shards: counted, total } = countingShards({ scratch: plain });
  const expected = expectedSchema(counted.scratch as D1Database);
  const migrations = migrationsOf();
  const asked = [4, 2, 0, 3, 4, 1, 2, 4].map((count) => expected(migrations.slice(0, count)));
  const columns = (await Promise.all(asked)).map(
    (schema) => schema?.tables.find(({ name }) => name === 'users')?.columns,
  );
  expect(columns.map((list) => list?.length)).toEqual([3, 3, undefined, 3, 3, 2, 3, 3]);
  const creates = total.log.flatMap(({ statements }) => statements).filter(({ sql }) => /CREATE TABLE/.test(sql));
  expect(creates).toHaveLength(2);
  // A look at the empty database, and one batch and one look for each file; the third has nothing but rows.
  expect(total.calls).toBe(1 + 4 * 2 - 1);
});

it('begins anew where another order is asked for', async () => {
  const expected = expectedSchema(plain);
  const [users, , , email] = migrationsOf();
  await expected(migrationsOf());
  const schema = await expected([users as Migration, email as Migration]);
  expect(schema?.tables.map(({ name, columns }) => `${name} ${columns.length}`)).toEqual(['countries 1', 'users 2']);
  expect(schema?.indexes.map(({ name }) => name)).toEqual(['users_email']);
  expect((await expected(migrationsOf(REBUILD)))?.tables.map(({ name }) => name)).toEqual(['posts', 'users']);
});

it('is emptied whatever refers to what', async () => {
  const expected = expectedSchema(plain);
  const authors = 'CREATE TABLE `authors` (`id` text PRIMARY KEY)';
  const books =
    'CREATE TABLE `books` (`id` text PRIMARY KEY, `author` text REFERENCES `authors`(`id`) ON DELETE SET NULL)';
  const chapters =
    'CREATE TABLE `chapters` (`author` text REFERENCES `authors`(`id`), `book` text REFERENCES `books`(`id`) ON DELETE CASCADE)';
  await expected(migrationsOf([['0000_all', [authors, books, chapters].join(BREAK)]]));
  expect((await expected(migrationsOf()))?.tables.map(({ name }) => name)).toEqual(['countries', 'users']);
});

describe('a first file that drizzle-kit has commented out', () => {
  it('leaves it open', async () => {
    const expected = expectedSchema(plain);
    expect(await expected(migrationsOf(PULLED))).toBeUndefined();
    expect(await expected(migrationsOf(PULLED).slice(0, 1))).toBeUndefined();
    expect(await expected([])).toMatchObject({ tables: [] });
    expect(await expected(migrationsOf())).toMatchObject({ tables: [{ name: 'countries' }, { name: 'users' }] });
  });

  it('is what the caller says', async () => {
    const introspected = async (tag: string) => (tag === '0000_pulled' ? ['create table a (id text)'] : undefined);
    const schema = await expectedSchema(plain, { introspected })(migrationsOf(PULLED));
    expect(schema?.tables.map(({ name, columns }) => [name, columns.length])).toEqual([['a', 2]]);
  });
});

it('refuses a database that has something, and files that do not go together', async () => {
  await expect(expectedSchema(plain)(migrationsOf(FILES.slice(1)))).rejects.toThrow(
    '0001_visits fails with D1_ERROR: no such table: users',
  );
  await plain.prepare('create table a (id text)').run();
  await expect(expectedSchema(plain)(migrationsOf())).rejects.toThrow('is not empty: it has a');
});

const other = () => shards(1).s0 as D1Database;
async function resetOther() {
  const { results } = await other()
    .prepare("select name from sqlite_master where type = 'table' and name not glob '_cf*' and name not glob 'sqlite*'")
    .all<{ name: string }>();
  if (results.length > 0) await other().batch(results.map(({ name }) => other().prepare(`drop table ${name}`)));
}
