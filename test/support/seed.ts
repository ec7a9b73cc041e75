import { plain } from './shards';

/** Runs the same statements in one database, as one transaction. */
export async function run(database: D1Database, statements: readonly string[]): Promise<void> {
  // An empty batch is an error in D1.
  if (statements.length === 0) return;
  await database.batch(statements.map((sql) => database.prepare(sql)));
}

/**
 * Runs the same statements in the plain database and in every given shard: the schema, or the rows of a reference table.
 *
 * @example
 * await runEverywhere(shards(3), ['create table users (id text primary key)']);
 */
export async function runEverywhere(
  shards: Readonly<Record<string, D1Database>>,
  statements: readonly string[],
): Promise<void> {
  await Promise.all([plain, ...Object.values(shards)].map((database) => run(database, statements)));
}

/** How many rows of `table` each shard holds: shows where rows went. */
export async function rowsPerShard(
  shards: Readonly<Record<string, D1Database>>,
  table: string,
): Promise<Record<string, number>> {
  const counts = await Promise.all(
    Object.entries(shards).map(async ([name, database]) => {
      const count = await database.prepare(`select count(*) as n from "${table}"`).first<number>('n');
      return [name, count ?? 0] as const;
    }),
  );
  return Object.fromEntries(counts);
}
