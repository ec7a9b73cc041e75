import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { folderBundle, journalBundle } from '../../testing/schema';

/** A new folder with files in it, by their paths. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'testing-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const { journal, migrations } = journalBundle;

/** As drizzle-kit 0.31 writes it. */
export const journalFolder = (): string =>
  folderWith({
    'meta/_journal.json': JSON.stringify(journal),
    ...Object.fromEntries(journal.entries.map(({ idx, tag }) => [`${tag}.sql`, migrations[`m000${idx}`] ?? ''])),
  });

/** As drizzle-kit 1.0 writes it. */
export const foldersFolder = (): string =>
  folderWith(Object.fromEntries(Object.entries(folderBundle).map(([tag, sql]) => [`${tag}/migration.sql`, sql])));
