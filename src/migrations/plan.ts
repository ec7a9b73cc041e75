import type { Migration } from './bundle';
import type { Obstacle } from './errors';
import { type HashedFolder, type HashedMigration, migrationOf } from './hashed';
import type { Ledger, LedgerEntry } from './ledger';

/** What a shard lacks, or why nothing can be applied there. */
export interface ShardPlan {
  readonly shard: string;
  /** What it has to be when the plan is applied. */
  readonly ledger: Pick<Ledger, 'layout' | 'fingerprint'>;
  /** Those of the folder that it has had, in the folder's order. */
  readonly applied: readonly HashedMigration[];
  readonly pending: readonly HashedMigration[];
  readonly obstacles: readonly Obstacle[];
  /** Rows of Drizzle 0.45 whose migration 1.0 knows by this name. */
  readonly unnamed: readonly { readonly rowid: number; readonly tag: string }[];
}

/** What a shard lacks of the folder. Nothing may be applied anywhere while one of them has an obstacle. */
export function planShard(folder: HashedFolder, shard: string, ledger: Ledger): ShardPlan {
  const obstacles: Obstacle[] = [];
  const unnamed: { rowid: number; tag: string }[] = [];
  const found = new Set<HashedMigration>();
  for (const entry of ledger.entries) {
    const migration = migrationOf(folder, entry);
    if (!migration) {
      obstacles.push(ahead(shard, entry));
      continue;
    }
    found.add(migration);
    if (entry.name === null) unnamed.push({ rowid: entry.rowid, tag: migration.tag });
    if (entry.hash !== migration.hash) obstacles.push(edited(shard, migration));
  }
  const applied = folder.migrations.filter((one) => found.has(one));
  const pending = folder.migrations.filter((one) => !found.has(one));
  const last = applied.at(-1);
  for (const one of pending) {
    if (last && folder.migrations.indexOf(one) < folder.migrations.indexOf(last)) obstacles.push(gap(shard, one, last));
  }
  // Drizzle 1.0 applies again what has no name in its ledger.
  if (folder.format === 'journal' && ledger.layout === 'names' && pending.length > 0) obstacles.push(format(shard));
  const { layout, fingerprint } = ledger;
  return {
    shard,
    ledger: { layout, fingerprint },
    applied,
    pending,
    obstacles,
    unnamed: folder.format === 'folders' ? unnamed : [],
  };
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
