import { loadPackage } from '../project/load-module';

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
 * @param root The folder of the project, whose drizzle-kit is used.
 * @throws UsageError without drizzle-kit.
 */
export async function createStatements(
  schema: Record<string, unknown>,
  root: string,
  casing?: Casing,
): Promise<string[]> {
  const { default: kit } = await loadPackage<{ default: Kit }>(root, 'drizzle-kit/api', 'drizzle-kit@0.31');
  const empty = await kit.generateSQLiteDrizzleJson({}, undefined, casing);
  return kit.generateSQLiteMigration(empty, await kit.generateSQLiteDrizzleJson(schema, empty.id, casing));
}
