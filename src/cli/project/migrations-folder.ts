import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalBundle, MigrationBundle } from '../../migrations/bundle';
import { UsageError } from '../errors';

/**
 * The migrations of drizzle-kit in a folder, in the format of 0.31 (with a journal) or of 1.0 (a folder each).
 *
 * @throws UsageError when there are none, or a file is missing.
 */
export function readMigrationsFolder(out: string): MigrationBundle {
  const journal = join(out, 'meta', '_journal.json');
  if (existsSync(journal)) return journalBundle(out, journal);
  const folders = existsSync(out)
    ? readdirSync(out).filter((name) => existsSync(join(out, name, 'migration.sql')))
    : [];
  if (folders.length > 0) {
    return Object.fromEntries(folders.map((name) => [name, readFileSync(join(out, name, 'migration.sql'), 'utf8')]));
  }
  throw new UsageError(`There are no migrations in ${out}.`, { remedy: 'npx sharded-drizzle generate' });
}

function journalBundle(out: string, path: string): MigrationBundle {
  const journal = JSON.parse(readFileSync(path, 'utf8')) as JournalBundle['journal'];
  const texts = journal.entries.map(({ idx, tag }): [string, string] => {
    const file = join(out, `${tag}.sql`);
    if (!existsSync(file)) {
      throw new UsageError(`${file} is missing, which the journal of the migrations names.`, {
        remedy: 'Put it back as it was.',
      });
    }
    return [`m${String(idx).padStart(4, '0')}`, readFileSync(file, 'utf8')];
  });
  return { journal, migrations: Object.fromEntries(texts) };
}
