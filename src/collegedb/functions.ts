import { active, setActive } from './active';
import { type CollegeDB, createCollegeDB, type PreparedStatement, type ShardStats } from './college';
import type { CollegeDBConfig } from './config';

/**
 * Makes a configuration the one that this entry's functions use, until the next one. Asks nothing yet.
 *
 * @example
 * initialize({ kv: env.KV, shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST } });
 * await first('user-1', 'SELECT * FROM users WHERE id = ?', ['user-1']);
 * @throws CollegeDBError `NO_SHARDS`; ConfigError for what else cannot work.
 */
export function initialize<TSchema extends Record<string, unknown>, TShard extends string>(
  config: CollegeDBConfig<TSchema, TShard>,
): CollegeDB<TSchema, TShard> {
  const college = createCollegeDB(config);
  setActive(college as unknown as CollegeDB);
  return college;
}

/** {@link initialize}, and waits until the cluster is made and, without a coordinator, its databases are scanned. */
export async function initializeAsync<TSchema extends Record<string, unknown>, TShard extends string>(
  config: CollegeDBConfig<TSchema, TShard>,
): Promise<CollegeDB<TSchema, TShard>> {
  const college = initialize(config);
  await college.ready();
  return college;
}

/**
 * {@link initializeAsync}, then a callback, whose result it gives. The configuration stays.
 *
 * @example
 * await collegedb({ kv: env.KV, shards }, async () => {
 *   await run('user-1', 'INSERT INTO users (id, name) VALUES (?, ?)', ['user-1', 'Ada']);
 * });
 */
export async function collegedb<T, TSchema extends Record<string, unknown>, TShard extends string>(
  config: CollegeDBConfig<TSchema, TShard>,
  callback: (college: CollegeDB<TSchema, TShard>) => T,
): Promise<Awaited<T>> {
  return await callback(await initializeAsync(config));
}

/** Takes the configuration away, for tests. */
export const resetConfig = (): void => setActive(undefined);

/** A statement of a key, to be bound and run. @throws CollegeDBError `NOT_INITIALIZED`. */
export const prepare = async (
  key: string,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<PreparedStatement> => active().prepare(key, sql, bindings);

/**
 * Runs a statement on the shard of a key.
 *
 * @example
 * await run('user-1', 'UPDATE users SET name = ? WHERE id = ?', ['Ada', 'user-1']);
 * @throws KeyMismatchError when the statement names another key; CollegeDBError `NOT_INITIALIZED`.
 */
export const run = async <T = Record<string, unknown>>(
  key: string,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<D1Result<T>> => active().run<T>(key, sql, bindings);

/** The first row that a statement gives on the shard of a key, or null. @throws As {@link run}. */
export const first = async <T = Record<string, unknown>>(
  key: string,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<T | null> => active().first<T>(key, sql, bindings);

/** All rows that a statement gives on the shard of a key. @throws As {@link run}. */
export const all = async <T = Record<string, unknown>>(
  key: string,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<D1Result<T>> => active().all<T>(key, sql, bindings);

/** Moves every row of a key to another shard: see {@link CollegeDB.reassignShard}. */
export const reassignShard = async (primaryKey: string, newBinding: string, tableName?: string): Promise<void> =>
  active().reassignShard(primaryKey, newBinding, tableName);

/** The shards of the cluster. @throws CollegeDBError `NOT_INITIALIZED`. */
export const listKnownShards = async (): Promise<string[]> => active().listKnownShards();

/** How many keys each shard has: see {@link CollegeDB.getShardStats}. */
export const getShardStats = async (): Promise<ShardStats[]> => active().getShardStats();

/** Forgets what is cached: see {@link CollegeDB.flush}. */
export const flush = async (): Promise<void> => active().flush();
