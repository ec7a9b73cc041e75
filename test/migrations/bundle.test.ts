import { expect, it } from 'vitest';
import { type MigrationBundle, readMigrations } from '../../src';
import { bundleOf, FILES, foldersOf } from './fixture';

it('reads both formats of drizzle-kit', () => {
  const journal = readMigrations(bundleOf());
  expect(journal.format).toBe('journal');
  expect(journal.migrations.map(({ tag, sql }) => [tag, sql])).toEqual(FILES);
  const folders = readMigrations(foldersOf([...FILES].reverse()));
  expect(folders).toEqual(readMigrations({ migrations: foldersOf() }));
  expect(folders.format).toBe('folders');
  expect(folders.migrations[1]).toEqual({
    tag: '20260201120000_visits',
    when: Date.UTC(2026, 1, 1, 12),
    sql: FILES[1]?.[1],
  });
  expect(journal.migrations.map(({ when }) => when)).toEqual(folders.migrations.map(({ when }) => when));
});

const { journal, migrations } = bundleOf();
it.each<[string, unknown, string]>([
  ['nothing', undefined, 'These are no migrations'],
  ['a journal without texts', { journal }, 'their texts are missing'],
  ['a missing text', { journal, migrations: { ...migrations, m0002: undefined } }, 'm0002 (0002_counted) is missing'],
  ['an entry without a time', { journal: { entries: [{ idx: 0, tag: 'a' }] }, migrations }, 'without idx, when or tag'],
  [
    'a journal out of order',
    { journal: { entries: [...journal.entries].reverse() }, migrations },
    'is not newer than 0003_email',
  ],
  ['a folder without a time', { users: 'create table users (id text)' }, 'users is no folder of Drizzle 1.0'],
])('%s is an error that says what to pass', (_, bundle, message) => {
  expect(() => readMigrations(bundle as MigrationBundle)).toThrow(message);
});
