import { drizzle } from 'drizzle-orm/d1';
import { migrate } from 'drizzle-orm/d1/migrator';
import { migrationsFolder, withBindings } from './local.ts';

/**
 * Brings every shard to the newest schema with Drizzle's own migrator, one database at a time. It applies all pending
 * files of a database in one transaction, so a shard is never left between two versions.
 */
export async function migrateShards(state: string, report: (line: string) => void): Promise<void> {
  await withBindings(state, async (env) => {
    const shards = Object.entries({ 'db-east': env.DB_EAST, 'db-west': env.DB_WEST, 'db-central': env.DB_CENTRAL });
    for (const [name, database] of shards) {
      const before = await applied(database);
      await migrate(drizzle(database), { migrationsFolder });
      const added = (await applied(database)) - before;
      report(
        `  ${name}: ${added === 0 ? 'up to date' : `${added} ${added === 1 ? 'migration' : 'migrations'} applied`}`,
      );
    }
  });
}

/** How many migrations a database has had. Its list does not exist before the first one. */
async function applied(database: D1Database): Promise<number> {
  const list = await database.prepare(`select 1 from sqlite_schema where name = '__drizzle_migrations'`).first();
  if (list === null) return 0;
  return (await database.prepare('select count(*) as n from __drizzle_migrations').first<number>('n')) ?? 0;
}
