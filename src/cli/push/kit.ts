import { ConfigError } from '../../errors';

export type Casing = 'snake_case' | 'camelCase';

type Kit = Pick<typeof import('drizzle-kit/api'), 'generateSQLiteDrizzleJson' | 'generateSQLiteMigration'>;

/**
 * The statements that make a Drizzle schema in an empty database, as drizzle-kit writes them.
 *
 * Its own `pushSQLiteSchema` is not used. Of 0.31 it rebuilds tables for the CHECK of another one, drops FTS tables, fills a
 * column that a rebuilt table gets with the column's name, counts on `PRAGMA foreign_keys=OFF`, which D1 ignores, asks in the
 * terminal, and ends the process when a database does not answer.
 *
 * @param schema Tables and views, as a schema file exports them; other exports are passed over.
 * @throws ConfigError without drizzle-kit.
 */
export async function createStatements(schema: Record<string, unknown>, casing?: Casing): Promise<string[]> {
  const kit = await loadKit();
  const empty = await kit.generateSQLiteDrizzleJson({}, undefined, casing);
  return kit.generateSQLiteMigration(empty, await kit.generateSQLiteDrizzleJson(schema, empty.id, casing));
}

async function loadKit(): Promise<Kit> {
  try {
    return await import('drizzle-kit/api');
  } catch (cause) {
    throw new ConfigError('A schema is pushed with drizzle-kit, which cannot be loaded.', {
      remedy: 'Install it: npm install --save-dev drizzle-kit@0.31',
      cause,
    });
  }
}
