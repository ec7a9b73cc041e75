import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import { isSystemTable } from '../layout/table';
import { SLOTS, slotOf } from '../placement/slots';
import type { Strategy } from '../placement/strategies';
import type { CollegeDBConfig } from './config';
import { CollegeDBError } from './errors';
import type { Whereabouts } from './lookout';
import { KVShardMapper, type TakeIn } from './mapper';
import { isChecked, setChecked } from './migration-cache';
import { keyPages, listTables, reasonOf, validateTableForSharding } from './tables';

/** What `integrateExistingDatabase` shall do. */
export interface IntegrationOptions {
  /** Default: all tables of the database. */
  tables?: readonly string[];
  /** Default: the shard key that a cluster's configuration gives the table, else `id`. */
  primaryKeyColumn?: string;
  /** Plays no part, as in CollegeDB: the rows are where they are. */
  strategy?: Strategy;
  /** Plays no part: whether keys lead to the database is told by looking, not by a mark in it. */
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
 * Takes a database that has rows into the cluster, as `$cluster.adopt()` does: every key of its tables leads to it. Throws
 * nothing: what went wrong is among `issues`.
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
  const { primaryKeyColumn, dryRun = false } = options;
  const result = { success: false, shardName, tablesProcessed: 0, totalRecords: 0, mappingsCreated: 0 };
  const issues: string[] = [];
  try {
    const takeIn = await mapper.takeIn(shardName, { dryRun });
    const tables = (options.tables ?? (await dataTables(d1))).filter((name) => !isSystemTable(name));
    for (const table of tables) {
      const column = await usableColumn(d1, shardName, table, mapper, primaryKeyColumn, issues);
      if (column === undefined) continue;
      try {
        const { records, mapped } = await takeInTable(d1, takeIn, { table, column }, issues);
        result.tablesProcessed++;
        result.totalRecords += records;
        result.mappingsCreated += mapped;
      } catch (error) {
        issues.push(`Table ${table} could not be taken in: ${reasonOf(error)}`);
      }
    }
    if (!dryRun && result.tablesProcessed > 0) await mapper.addKnownShard(shardName);
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
  const isConfigured = wanted === undefined && typeof configured === 'string';
  // What the configuration names need not be the primary key.
  if (isConfigured ? found.recordCount > 0 : found.isValid && configured !== null) return found.primaryKeyColumn;
  const reasons = found.isValid ? [`${table} has no key of the keyspace ${DEFAULT_KEYSPACE}`] : found.issues;
  issues.push(`Table ${table}: ${reasons.join(', ')}`);
  return undefined;
}

interface TableKeys {
  readonly table: string;
  readonly column: string;
}

/** Keys told of in issues, for each table. */
const LISTED = 10;

async function takeInTable(
  d1: D1Database,
  takeIn: TakeIn,
  { table, column }: TableKeys,
  issues: string[],
): Promise<{ records: number; mapped: number }> {
  let records = 0;
  let mapped = 0;
  let kept = 0;
  for await (const keys of keyPages(d1, table, column)) {
    const done = await takeIn(keys);
    records += keys.length;
    mapped += done.mapped;
    // In the order of the keys, so that a dry run tells of the same ones.
    for (const key of keys) {
      const found = done.kept.get(key);
      if (found && ++kept <= LISTED) issues.push(issueOf(key, table, found));
    }
  }
  if (kept > LISTED) issues.push(`${kept - LISTED} more keys of ${table} do not lead here`);
  return { records, mapped };
}

const issueOf = (key: string, table: string, { shards, isConflict }: Whereabouts): string =>
  isConflict
    ? `The key '${key}' of ${table} has rows on ${shards.join(' and ')}: every statement with it is refused`
    : `The key '${key}' of ${table} lives on ${shards[0]}: its row here is not found`;

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
 * Looks whether a database has rows that no mapping leads to, or a cluster has not scanned, and maps them. Mappings that are there stay. Throws nothing: what
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

async function migrate(
  d1: D1Database,
  shardName: string,
  mapper: KVShardMapper,
  { primaryKeyColumn, tablesToCheck }: MigrationOptions,
  issues: string[],
): Promise<Omit<MigrationResult, 'issues'>> {
  const result = { migrationNeeded: false, migrationPerformed: false, recordsMigrated: 0, tablesProcessed: 0 };
  const awaitsScan = await mapper.awaitsScan(shardName);
  const takeIn = await mapper.takeIn(shardName);
  for (const table of tablesToCheck ?? (await dataTables(d1))) {
    // Tables that cannot be used say so when they are.
    const column = await usableColumn(d1, shardName, table, mapper, primaryKeyColumn, []);
    if (column === undefined) continue;
    result.tablesProcessed++;
    if (!awaitsScan && !(await hasUnmapped(d1, mapper, { table, column }))) continue;
    result.migrationNeeded = true;
    const unmapped: TakeIn = async (keys) => {
      const mappings = await mapper.getShardMappings(keys);
      return takeIn(keys.filter((key) => !mappings.get(key)));
    };
    const { mapped } = await takeInTable(d1, awaitsScan ? takeIn : unmapped, { table, column }, issues);
    result.recordsMigrated += mapped;
  }
  if (result.recordsMigrated > 0) {
    result.migrationPerformed = true;
    await mapper.addKnownShard(shardName);
  }
  return result;
}

async function hasUnmapped(d1: D1Database, mapper: KVShardMapper, { table, column }: TableKeys): Promise<boolean> {
  const { value } = await keyPages(d1, table, column, SAMPLE).next();
  const mappings = await mapper.getShardMappings(value ?? []);
  return [...mappings.values()].some((mapping) => mapping === null);
}

/** Whether a database has rows that a cluster has not scanned, or no mapping leads to, as far as a few rows of each table tell. */
export async function checkMigrationNeeded(
  d1: D1Database,
  shardName: string,
  config: Pick<CollegeDBConfig, 'kv' | 'hashShardMappings'>,
): Promise<boolean> {
  const mapper = mapperOf(config);
  if (isChecked(d1, mapper.scope)) return false;
  if (await mapper.awaitsScan(shardName)) return true;
  for (const table of await dataTables(d1)) {
    const column = await usableColumn(d1, shardName, table, mapper, undefined, []);
    if (column !== undefined && (await hasUnmapped(d1, mapper, { table, column }))) return true;
  }
  return false;
}
