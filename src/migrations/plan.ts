import type { Migration, MigrationFolder } from './bundle';
import type { Obstacle } from './errors';
import type { Ledger, LedgerEntry } from './ledger';

/** A migration with what the ledger says of it: the SHA-256 of its file. */
export interface HashedMigration extends Migration {
  readonly hash: string;
}

export interface HashedFolder extends MigrationFolder {
  readonly migrations: readonly HashedMigration[];
}

/** What a shard lacks, or why nothing can be applied there. */
export interface ShardPlan {
  readonly shard: string;
  readonly ledger: Ledger;
  readonly pending: readonly HashedMigration[];
  readonly obstacles: readonly Obstacle[];
  /** Rows of Drizzle 0.45 whose migration 1.0 knows by this name. */
  readonly unnamed: readonly { readonly rowid: number; readonly tag: string }[];
}

export async function withHashes(folder: MigrationFolder): Promise<HashedFolder> {
  const migrations = await Promise.all(folder.migrations.map(async (one) => ({ ...one, hash: await sha256(one.sql) })));
  return { ...folder, migrations };
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * What each shard lacks of the folder. Nothing may be applied anywhere while one of them has an obstacle.
 *
 * @param ledgers What the shards have applied, by their names.
 */
export function planMigrations(folder: HashedFolder, ledgers: ReadonlyMap<string, Ledger>): ShardPlan[] {
  return [...ledgers].map(([shard, ledger]) => planShard(folder, shard, ledger));
}

function planShard(folder: HashedFolder, shard: string, ledger: Ledger): ShardPlan {
  const obstacles: Obstacle[] = [];
  const unnamed: { rowid: number; tag: string }[] = [];
  const applied = new Set<HashedMigration>();
  for (const entry of ledger.entries) {
    const migration = migrationOf(folder, entry);
    if (!migration) {
      obstacles.push(ahead(shard, entry));
      continue;
    }
    applied.add(migration);
    if (entry.name === null) unnamed.push({ rowid: entry.rowid, tag: migration.tag });
    if (entry.hash !== migration.hash) obstacles.push(edited(shard, migration));
  }
  const pending = folder.migrations.filter((one) => !applied.has(one));
  const last = folder.migrations.findLast((one) => applied.has(one));
  for (const one of pending) {
    if (last && folder.migrations.indexOf(one) < folder.migrations.indexOf(last)) obstacles.push(gap(shard, one, last));
  }
  // Drizzle 1.0 applies again what has no name in its ledger.
  if (folder.format === 'journal' && ledger.layout === 'names' && pending.length > 0) obstacles.push(format(shard));
  return { shard, ledger, pending, obstacles, unnamed: folder.format === 'folders' ? unnamed : [] };
}

const toSecond = (ms: number): number => Math.floor(ms / 1000);

/** As Drizzle matches them: by name, and what has none by its time, of which 1.0 keeps the seconds. */
function migrationOf({ format, migrations }: HashedFolder, { name, when, hash }: LedgerEntry) {
  if (name !== null && format === 'folders') return migrations.find(({ tag }) => tag === name);
  const exact = format === 'journal' && name === null;
  const candidates = migrations.filter((one) => (exact ? one.when === when : toSecond(one.when) === toSecond(when)));
  return candidates.length > 1 ? candidates.find((one) => one.hash === hash) : candidates[0];
}

const ahead = (shard: string, { name, when, hash }: LedgerEntry): Obstacle => {
  const tag = name ?? undefined;
  const called = name ?? `of ${new Date(when).toISOString()} with the hash ${hash.slice(0, 12)}`;
  return {
    shard,
    kind: 'ahead',
    ...(tag === undefined ? {} : { tag }),
    message: `${shard} has applied a migration that is not in the folder: ${called}. Deploy the newest state of the folder, or put its file back.`,
  };
};

const edited = (shard: string, { tag }: Migration): Obstacle => ({
  shard,
  kind: 'edited',
  tag,
  message: `${tag} was changed after ${shard} has applied it. Put the file back as it was, and make the change in a new migration.`,
});

const gap = (shard: string, { tag }: Migration, last: Migration): Obstacle => ({
  shard,
  kind: 'gap',
  tag,
  message: `${shard} lacks ${tag}, although it has applied the newer ${last.tag}. Generate it again, so that it comes last.`,
});

const format = (shard: string): Obstacle => ({
  shard,
  kind: 'format',
  message: `The ledger of ${shard} is one of Drizzle 1.0, and the folder is not. Run \`drizzle-kit up\` of 1.0 on the folder.`,
});
