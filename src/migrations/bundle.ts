import { ConfigError } from '../errors';

/** One migration of drizzle-kit. */
export interface Migration {
  /** Its name: `0000_travel_notebook`, or with Drizzle 1.0 the name of its folder. */
  readonly tag: string;
  /** Unix time in milliseconds, which orders migrations. */
  readonly when: number;
  /** The file as it is, statement breakpoints included. */
  readonly sql: string;
}

/** What drizzle-kit 0.31 bundles as `migrations.js`: the journal, and each file's text under `m0000`. */
export interface JournalBundle {
  readonly journal: {
    readonly entries: readonly { readonly idx: number; readonly when: number; readonly tag: string }[];
  };
  readonly migrations: Readonly<Record<string, string>>;
}

/** What drizzle-kit 1.0 bundles: each `migration.sql` under the name of its folder. */
export interface FolderBundle {
  readonly migrations: Readonly<Record<string, string>>;
}

/** Migrations as text, in either of Drizzle's formats; of 1.0's also the files by folder, without anything around them. */
export type MigrationBundle = JournalBundle | FolderBundle | Readonly<Record<string, string>>;

export interface MigrationFolder {
  /** Drizzle 0.45 knows a migration by its time, and 1.0 by its folder's name. */
  readonly format: 'journal' | 'folders';
  /** The oldest first. */
  readonly migrations: readonly Migration[];
}

const REMEDY =
  "Pass the migrations.js of drizzle-kit (`import bundle from './drizzle/migrations'`), or of Drizzle 1.0 the text of each migration.sql by the name of its folder.";

/**
 * Reads bundled migrations.
 *
 * @example
 * readMigrations({ journal, migrations: { m0000: 'create table users (id text primary key)' } });
 * readMigrations({ '20260131120000_users': 'create table users (id text primary key)' });
 * @throws ConfigError when it is no bundle, a file is missing, or the order is not that of time.
 */
export function readMigrations(bundle: MigrationBundle): MigrationFolder {
  if (!isObject(bundle)) throw new ConfigError('These are no migrations.', { remedy: REMEDY });
  if ('journal' in bundle) return readJournal(bundle);
  return readFolders('migrations' in bundle && isObject(bundle.migrations) ? bundle.migrations : bundle);
}

function readJournal({ journal, migrations }: { journal?: unknown; migrations?: unknown }): MigrationFolder {
  const entries = isObject(journal) ? journal.entries : undefined;
  if (!Array.isArray(entries) || !isObject(migrations)) {
    throw new ConfigError('The journal of the migrations has no `entries`, or their texts are missing.', {
      remedy: REMEDY,
    });
  }
  const read = entries.map((entry: unknown): Migration => {
    const { idx, when, tag } = isObject(entry) ? entry : {};
    if (typeof idx !== 'number' || typeof tag !== 'string' || !Number.isSafeInteger(when)) {
      throw new ConfigError(`The journal has an entry without idx, when or tag: ${JSON.stringify(entry)}.`, {
        remedy: REMEDY,
      });
    }
    const key = `m${String(idx).padStart(4, '0')}`;
    return { tag, when: when as number, sql: textOf(migrations[key], `${key} (${tag})`) };
  });
  for (const [i, { tag, when }] of read.entries()) {
    const before = read[i - 1];
    if (before && before.when >= when) {
      throw new ConfigError(`The journal says that ${tag} is not newer than ${before.tag}, which comes before it.`, {
        remedy: 'Drizzle would never apply it where the other one was: generate it again.',
      });
    }
  }
  return { format: 'journal', migrations: read };
}

function readFolders(files: Readonly<Record<string, unknown>>): MigrationFolder {
  const migrations = Object.keys(files)
    .sort()
    .map((tag): Migration => ({ tag, when: timeOf(tag), sql: textOf(files[tag], tag) }));
  return { format: 'folders', migrations };
}

/** As Drizzle 1.0 reads a folder's name. */
function timeOf(tag: string): number {
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(tag);
  if (!found) {
    throw new ConfigError(`${tag} is no folder of Drizzle 1.0: its name has to begin with a time, yyyymmddhhmmss.`, {
      remedy: REMEDY,
    });
  }
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [number, ...number[]];
  return Date.UTC(year, (month as number) - 1, day, hour, minute, second);
}

function textOf(text: unknown, name: string): string {
  if (typeof text === 'string' && text.trim() !== '') return text;
  throw new ConfigError(`The text of the migration ${name} is missing.`, {
    remedy: 'Does the bundler read .sql files as text? See docs/migrations.md.',
  });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
