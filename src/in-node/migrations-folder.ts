import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError } from '../errors';
import type { JournalBundle, MigrationBundle } from '../migrations/bundle';

/**
 * The migrations in a folder of drizzle-kit, 0.31 or 1.0, as `migrateShards` takes them.
 *
 * @param folder Relative to the current one.
 * @example
 * await migrateShards(db, readMigrationsFolder('./drizzle'));
 * @throws ConfigError when there are none, or one is missing.
 */
export function readMigrationsFolder(folder: string): MigrationBundle {
  const path = resolve(folder);
  const journal = join(path, 'meta', '_journal.json');
  if (existsSync(journal)) return withTexts(path, JSON.parse(readFileSync(journal, 'utf8')));
  const files = (existsSync(path) ? readdirSync(path) : [])
    .map((name) => [name, join(path, name, 'migration.sql')] as const)
    .filter(([, file]) => existsSync(file));
  if (files.length > 0) return Object.fromEntries(files.map(([name, file]) => [name, readFileSync(file, 'utf8')]));
  throw new ConfigError(`There are no migrations of drizzle-kit in ${path}.`, {
    remedy: 'It has to be the folder that `out` names in drizzle.config.ts; `npx sharded-drizzle generate` fills it.',
  });
}

function withTexts(path: string, journal: JournalBundle['journal']): JournalBundle {
  const texts = journal.entries.map(({ idx, tag }) => {
    const file = join(path, `${tag}.sql`);
    if (!existsSync(file)) {
      throw new ConfigError(`${file} is missing, which the journal of the migrations names.`, {
        remedy: 'Put it back as it was.',
      });
    }
    return [`m${String(idx).padStart(4, '0')}`, readFileSync(file, 'utf8')];
  });
  return { journal, migrations: Object.fromEntries(texts) };
}
