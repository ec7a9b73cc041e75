import type { Migration, MigrationFolder } from './bundle';
import type { LedgerEntry } from './ledger';

/** A migration with what the ledger says of it: the SHA-256 of its file. */
export interface HashedMigration extends Migration {
  readonly hash: string;
}

export interface HashedFolder extends MigrationFolder {
  readonly migrations: readonly HashedMigration[];
}

export async function withHashes(folder: MigrationFolder): Promise<HashedFolder> {
  const migrations = await Promise.all(folder.migrations.map(async (one) => ({ ...one, hash: await sha256(one.sql) })));
  return { ...folder, migrations };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const toSecond = (ms: number): number => Math.floor(ms / 1000);

/** As Drizzle matches them: by name, and what has none by its time, of which 1.0 keeps the seconds. */
export function migrationOf(
  { format, migrations }: HashedFolder,
  { name, when, hash }: LedgerEntry,
): HashedMigration | undefined {
  if (name !== null && format === 'folders') return migrations.find(({ tag }) => tag === name);
  const exact = format === 'journal' && name === null;
  const candidates = migrations.filter((one) => (exact ? one.when === when : toSecond(one.when) === toSecond(when)));
  return candidates.length > 1 ? candidates.find((one) => one.hash === hash) : candidates[0];
}
