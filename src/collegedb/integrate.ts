import { isSystemTable } from '../layout/table';
import { SLOTS, slotOf } from '../placement/slots';
import type { Strategy } from '../placement/strategies';
import type { CollegeDBConfig } from './config';
import { CollegeDBError } from './errors';
import { KVShardMapper, type Mapped } from './mapper';
import { isChecked, isMarked, mark, setChecked } from './migration-marks';
import { keyPages, listTables, reasonOf, validateTableForSharding } from './tables';

/** What `integrateExistingDatabase` shall do. */
export interface IntegrationOptions {
  /** Default: all tables of the database. */
  tables?: readonly string[];
  /** Default: the shard key that a cluster's configuration gives the table, else `id`. */
  primaryKeyColumn?: string;
  /** Plays no part, as in CollegeDB: the rows are where they are. */
  strategy?: Strategy;
  /** Leave a mark in the database that it was taken in, which `checkMigrationNeeded` believes. Default true. */
  addShardMappingsTable?: boolean;
  /** Change nothing anywhere; the result is that of a real run. Default false. */
  dryRun?: boolean;
}

export interface IntegrationResult {
  success: boolean;
  shardName: string;
  tablesProcessed: number;
  totalRecords: number;
  /** Keys that lead to the shard afterwards. */
  mappingsCreated: number;
  /** Tables that were left out, and keys that live elsewhere, in words. */
  issues: string[];
}

/** CollegeDB's own mark, which is a table like any other here. It holds no rows. */
const COLLEGEDB_MARK = 'shard_mappings';

const dataTables = async (d1: D1Database): Promise<string[]> =>
  (await listTables(d1)).filter((name) => name !== COLLEGEDB_MARK);

/**
 * Takes a database that has rows into the cluster: every key of its tables is mapped to it. Throws nothing: what went wrong is
 * among `issues`.
 *
 * @example
 * const mapper = new KVShardMapper(env.KV);
 * const plan = await integrateExistingDatabase(env.DB_OLD, 'db-old', mapper, { tables: ['users', 'posts'], dryRun: true });
 * if (plan.success) await integrateExistingDatabase(env.DB_OLD, 'db-old', mapper, { tables: ['users', 'posts'] });
 */
export async function integrateExistingDatabase(
  d1: D1Database,
  shardName: string,
  mapper: KVShardMapper,
  options: IntegrationOptions = {},
): Promise<IntegrationResult> {
  const { primaryKeyColumn, addShardMappingsTable = true, dryRun = false } = options;
  const result = { success: false, shardName, tablesProcessed: 0, totalRecords: 0, mappingsCreated: 0 };
  const issues: string[] = [];
  try {
    const tables = (options.tables ?? (await dataTables(d1))).filter((name) => !isSystemTable(name));
    for (const table of tables) {
      const column = await usableColumn(d1, shardName, table, mapper, primaryKeyColumn, issues);
      if (column === undefined) continue;
      try {
        const { records, mapped } = await mapTable(d1, shardName, mapper, { table, column }, dryRun, issues);
        result.tablesProcessed++;
        result.totalRecords += records;
        result.mappingsCreated += mapped;
      } catch (error) {
        issues.push(`Table ${table} could not be taken in: ${reasonOf(error)}`);
      }
    }
    if (!dryRun && result.tablesProcessed > 0) {
      if (addShardMappingsTable) await mark(d1, mapper.scope);
      await mapper.addKnownShard(shardName);
    }
  } catch (error) {
    issues.push(`The database could not be taken in: ${reasonOf(error)}`);
  }
  return { ...result, success: issues.length === 0 || result.tablesProcessed > 0, issues };
}

/** The column that keys are read from; undefined, and an issue, when the table has none. */
async function usableColumn(
  d1: D1Database,
  shardName: string,
  table: string,
  mapper: KVShardMapper,
  wanted: string | undefined,
  issues: string[],
): Promise<string | undefined> {
  const configured = wanted ?? (await mapper.keyColumnOf(shardName, table));
  const found = await validateTableForSharding(d1, table, configured ?? 'id');
  // What the configuration names need not be the primary key.
  if (found.isValid || (wanted === undefined && configured !== undefined && found.recordCount > 0))
    return found.primaryKeyColumn;
  issues.push(`Table ${table}: ${found.issues.join(', ')}`);
  return undefined;
}

interface TableKeys {
  readonly table: string;
  readonly column: string;
}

/** Keys told of in issues, for each table. */
const LISTED = 10;

async function mapTable(
  d1: D1Database,
  shardName: string,
  mapper: KVShardMapper,
  { table, column }: TableKeys,
  dryRun: boolean,
  issues: string[],
): Promise<{ records: number; mapped: number }> {
  let records = 0;
  let mapped = 0;
  let kept = 0;
  for await (const keys of keyPages(d1, table, column)) {
    const done: Mapped = await mapper.mapAll(shardName, keys, { dryRun });
    records += keys.length;
    mapped += done.mapped;
    // In the order of the keys, so that a dry run tells of the same ones.
    for (const key of keys) {
      const shard = done.kept.get(key);
      if (shard === undefined) continue;
      if (++kept <= LISTED) issues.push(`The key '${key}' of ${table} lives on ${shard}: its row here is not found`);
    }
  }
  if (kept > LISTED) issues.push(`${kept - LISTED} more keys of ${table} live on other shards`);
  return { records, mapped };
}

/**
 * Maps keys to shards by a strategy: `hash`, one after the other, or at random.
 *
 * @throws CollegeDBError without a shard to choose; in a cluster what `$cluster.reassign` throws.
 */
export async function createMappingsForExistingKeys(
  primaryKeys: readonly string[],
  shardBindings: readonly string[],
  strategy: 'hash' | 'round-robin' | 'random',
  mapper: KVShardMapper,
  options: { concurrency?: number } = {},
): Promise<void> {
  const count = shardBindings.length;
  if (count === 0) throw new CollegeDBError('There is no shard to map keys to. Name at least one.', 'NO_SHARDS');
  const place = {
    hash: (key: string) => (slotOf(key) / SLOTS) * count,
    'round-robin': (_key: string, i: number) => i % count,
    random: () => Math.random() * count,
  }[strategy];
  await mapper.setShardMappingsBatch(
    primaryKeys.map((primaryKey, i) => ({
      primaryKey,
      shard: shardBindings[Math.floor(place(primaryKey, i))] as string,
    })),
    options,
  );
}

/** What `autoDetectAndMigrate` found and did. */
export interface MigrationResult {
  migrationNeeded: boolean;
  migrationPerformed: boolean;
  recordsMigrated: number;
  tablesProcessed: number;
  issues: string[];
}

export interface MigrationOptions {
  primaryKeyColumn?: string;
  /** Default: all tables of the database. */
  tablesToCheck?: readonly string[];
  /** Look although this isolate has looked before. Default false. */
  skipCache?: boolean;
}

/** How many keys of a table are looked at: when they lead here, all are taken to. */
const SAMPLE = 10;

/**
 * Looks whether a database has rows that no mapping leads to, and maps them. Mappings that are there stay. Throws nothing: what
 * went wrong is among `issues`.
 */
export async function autoDetectAndMigrate(
  d1: D1Database,
  shardName: string,
  config: Pick<CollegeDBConfig, 'kv' | 'hashShardMappings'>,
  options: MigrationOptions = {},
): Promise<MigrationResult> {
  const result = { migrationNeeded: false, migrationPerformed: false, recordsMigrated: 0, tablesProcessed: 0 };
  const issues: string[] = [];
  const mapper = mapperOf(config);
  if (isChecked(d1, mapper.scope) && !options.skipCache) return { ...result, issues };
  try {
    const found = await migrate(d1, shardName, mapper, options, issues);
    setChecked(d1, mapper.scope);
    return { ...found, issues };
  } catch (error) {
    issues.push(`The database could not be looked at: ${reasonOf(error)}`);
    return { ...result, issues };
  }
}

const mapperOf = ({ kv, hashShardMappings = true }: Pick<CollegeDBConfig, 'kv' | 'hashShardMappings'>) =>
  new KVShardMapper(kv, { hashShardMappings });

/** The same for a cluster's own mapper. @throws What D1 says: rows that are not found must not pass for no rows. */
export async function migrate(
  d1: D1Database,
  shardName: string,
  mapper: KVShardMapper,
  { primaryKeyColumn, tablesToCheck }: MigrationOptions,
  issues: string[],
): Promise<Omit<MigrationResult, 'issues'>> {
  const result = { migrationNeeded: false, migrationPerformed: false, recordsMigrated: 0, tablesProcessed: 0 };
  for (const table of tablesToCheck ?? (await dataTables(d1))) {
    // Tables that cannot be used say so when they are.
    const column = await usableColumn(d1, shardName, table, mapper, primaryKeyColumn, []);
    if (column === undefined) continue;
    result.tablesProcessed++;
    if (!(await hasUnmapped(d1, mapper, { table, column }))) continue;
    result.migrationNeeded = true;
    for await (const keys of keyPages(d1, table, column)) {
      const mappings = await mapper.getShardMappings(keys);
      const unmapped = keys.filter((key) => !mappings.get(key));
      const { mapped, kept } = await mapper.mapAll(shardName, unmapped);
      result.recordsMigrated += mapped;
      for (const [key, shard] of kept) issues.push(`The key '${key}' of ${table} lives on ${shard} too`);
    }
  }
  if (result.recordsMigrated > 0) {
    result.migrationPerformed = true;
    await mark(d1, mapper.scope);
    await mapper.addKnownShard(shardName);
  }
  return result;
}

async function hasUnmapped(d1: D1Database, mapper: KVShardMapper, { table, column }: TableKeys): Promise<boolean> {
  const { value } = await keyPages(d1, table, column, SAMPLE).next();
  const mappings = await mapper.getShardMappings(value ?? []);
  return [...mappings.values()].some((mapping) => mapping === null);
}

/** Whether a database has rows that no mapping leads to, as far as a few rows of each table tell. */
export async function checkMigrationNeeded(
  d1: D1Database,
  shardName: string,
  config: Pick<CollegeDBConfig, 'kv' | 'hashShardMappings'>,
): Promise<boolean> {
  const mapper = mapperOf(config);
  if (isChecked(d1, mapper.scope) || (await isMarked(d1, mapper.scope))) return false;
  for (const table of await dataTables(d1)) {
    const column = await usableColumn(d1, shardName, table, mapper, undefined, []);
    if (column !== undefined && (await hasUnmapped(d1, mapper, { table, column }))) return true;
  }
  return false;
}
