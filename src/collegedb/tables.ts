import { isSystemTable } from '../layout/table';
import { foldName, quoteName } from '../sql/tokens';
import { CollegeDBError } from './errors';
import { keysAfter } from './key-pages';
import { statementsOf } from './script';

/** What `validateTableForSharding` found. */
export interface ValidationResult {
  isValid: boolean;
  tableName: string;
  primaryKeyColumn: string;
  recordCount: number;
  /** Why it is not valid, in words. */
  issues: string[];
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The tables of a database by name, without those of SQLite, D1, migrations and this package. */
export async function listTables(d1: D1Database): Promise<string[]> {
  const { results } = await d1
    .prepare("select name from sqlite_master where type = 'table' order by name")
    .all<{ name: string }>();
  return results.map(({ name }) => name).filter((name) => !isSystemTable(name));
}

/**
 * Creates tables on one database, in order.
 *
 * @throws CollegeDBError `SCHEMA_MIGRATION_FAILED` with D1's own error as its `cause`.
 */
export async function createSchema(d1: D1Database, schema: string): Promise<void> {
  for (const sql of statementsOf(schema)) {
    try {
      await d1.prepare(sql).run();
    } catch (error) {
      throw new CollegeDBError(`${reasonOf(error)} (in: ${sql.slice(0, 200)})`, 'SCHEMA_MIGRATION_FAILED', {
        cause: error,
      });
    }
  }
}

/**
 * Looks whether the rows of a table can be found by a column: it is the primary key by itself, and there are rows. Throws
 * nothing; what D1 says is an issue too.
 */
export async function validateTableForSharding(
  d1: D1Database,
  tableName: string,
  primaryKeyColumn = 'id',
): Promise<ValidationResult> {
  const issues: string[] = [];
  let recordCount = 0;
  try {
    recordCount = await checkTable(d1, tableName, primaryKeyColumn, issues);
  } catch (error) {
    issues.push(`The database did not answer: ${reasonOf(error)}`);
  }
  return { isValid: issues.length === 0, tableName, primaryKeyColumn, recordCount, issues };
}

/** How many rows it has. */
async function checkTable(d1: D1Database, table: string, column: string, issues: string[]): Promise<number> {
  const { results } = await d1
    .prepare('select name, pk from pragma_table_info(?1)')
    .bind(table)
    .all<{ name: string; pk: number }>();
  if (results.length === 0 || isSystemTable(table)) {
    issues.push(results.length === 0 ? `There is no table ${table}` : `${table} is a table of the system`);
    return 0;
  }
  const found = results.find(({ name }) => foldName(name) === foldName(column));
  const keys = results.filter(({ pk }) => pk > 0).length;
  if (!found) issues.push(`${table} has no column ${column}`);
  else if (found.pk !== 1 || keys !== 1) issues.push(`${column} is not the primary key of ${table} by itself`);
  const count = (await d1.prepare(`select count(*) as n from ${quoteName(table)}`).first<number>('n')) ?? 0;
  if (count === 0) issues.push(`${table} has no rows`);
  return count;
}

/** A list of keys that can be awaited whole, or gone through without ever holding all of it. */
export type PrimaryKeys = Promise<string[]> & AsyncIterable<string>;

/**
 * The keys of a table, each once, as text.
 *
 * @example
 * const keys = await discoverExistingPrimaryKeys(env.DB, 'users');
 * for await (const key of discoverExistingPrimaryKeys(env.DB, 'orders', 'order_id')) count++; // constant memory
 * @throws CollegeDBError `DISCOVERY_FAILED` with D1's own error as its `cause`.
 */
export function discoverExistingPrimaryKeys(d1: D1Database, tableName: string, primaryKeyColumn = 'id'): PrimaryKeys {
  const pages = () => keyPages(d1, tableName, primaryKeyColumn);
  const each = async function* () {
    for await (const page of pages()) yield* page;
  };
  let whole: Promise<string[]> | undefined;
  // Begun when it is first awaited: who goes through it does not want the array.
  const all = () => {
    whole ??= listed(pages());
    return whole;
  };
  return {
    // biome-ignore lint/suspicious/noThenProperty: it can be awaited, as in CollegeDB, and iterated over.
    then: (fulfilled, rejected) => all().then(fulfilled, rejected),
    catch: (rejected) => all().catch(rejected),
    finally: (done) => all().finally(done),
    [Symbol.asyncIterator]: each,
    [Symbol.toStringTag]: 'PrimaryKeys',
  };
}

async function listed(pages: AsyncIterable<string[]>): Promise<string[]> {
  const keys: string[][] = [];
  for await (const page of pages) keys.push(page);
  return keys.flat();
}

/** The same, page by page. */
export async function* keyPages(
  d1: D1Database,
  table: string,
  column: string,
  size?: number,
): AsyncGenerator<string[], undefined> {
  try {
    yield* keysAfter(d1, table, column, size);
  } catch (error) {
    throw new CollegeDBError(
      `The keys of ${table}.${column} could not be read: ${reasonOf(error)}`,
      'DISCOVERY_FAILED',
      {
        cause: error,
      },
    );
  }
}
