import type { Catalog } from '../catalog/catalog';
import { ConfigError } from '../errors';
import type { Layout } from '../layout/layout';
import { placeTable } from '../layout/placement-rules';
import { findColumn, sameName } from '../layout/table';
import type { MoveIo } from '../moves/io';
import type { TableInfo } from '../moves/schema';
import type { MoveSpec } from '../moves/spec';
import { bound, name, sql } from '../sql/tag';
import { foldName } from '../sql/tokens';
import { type Holder, rangeOf, type Shared, sharedValues } from './compare';
import { type Surveyed, surveyShards } from './survey';

/** Something about a table that has to be decided, or is worth knowing, before its rows become part of a cluster. */
export interface AdoptionIssue {
  /**
   * - `no-key`: nothing says which shard a row belongs to; the table is not adopted
   * - `missing-table`, `missing-column`: the schema has it, the database has not
   * - `unknown-table`, `unknown-column`: the database has it, the schema has not
   * - `other-columns`: databases have the table in different forms
   * - `foreign-key`: rows may refer to rows of another database
   * - `no-index`: finding a key in it reads the whole table
   */
  readonly kind:
    | 'no-key'
    | 'missing-table'
    | 'missing-column'
    | 'unknown-table'
    | 'unknown-column'
    | 'other-columns'
    | 'foreign-key'
    | 'no-index';
  readonly table: string;
  readonly shards: readonly string[];
  readonly message: string;
}

/** Ids that rows of several databases have, in a table whose shard key is another column. */
export interface SharedIds extends Shared {
  readonly table: string;
  readonly column: string;
}

export interface AdoptionPlan {
  /** Rows that each database has. */
  readonly tables: readonly { readonly shard: string; readonly table: string; readonly rows: number }[];
  /** Keys with rows in several databases, by keyspace. Statements with one of them would be refused. */
  readonly conflicts: readonly (Shared & { readonly keyspace: string })[];
  readonly sharedIds: readonly SharedIds[];
  readonly issues: readonly AdoptionIssue[];
  /** All of it for people. */
  readonly text: string;
}

export interface PlanningParts {
  readonly io: Pick<MoveIo, 'run'> & { readonly catalog: Catalog };
  readonly layout: Layout;
  readonly spec: MoveSpec;
  readonly shards: readonly string[];
}

/** Looks at databases without changing anything, also not making a cluster of them. Reads every key of tables that several have. */
export async function planAdoption({ io, layout, spec, shards }: PlanningParts): Promise<AdoptionPlan> {
  const view = await io.catalog.map();
  const known = new Set(view?.map.shards.map((shard) => shard.name));
  const scanned = (shard: string): boolean =>
    known.has(shard) &&
    !Object.values(view?.map.keyspaces ?? {}).some(({ adopting = [] }) => adopting.some((one) => one.shard === shard));
  const surveyed = await surveyShards(spec, shards, io.run);
  const tables: { shard: string; table: string; rows: number }[] = [];
  for (const { shard, schema } of surveyed) {
    for (const { name: table } of schema.tables.values()) {
      const [[row] = []] = await io.run(shard, [bound(sql`select count(*) as n from ${name(table)}`)]);
      tables.push({ shard, table, rows: Number(row?.n) });
    }
  }
  const isNew = surveyed.filter(({ shard }) => !scanned(shard));
  const conflicts: (Shared & { keyspace: string })[] = [];
  const sharedIds: SharedIds[] = [];
  if (isNew.length > 0) {
    for (const [keyspace, holders] of keyHolders(surveyed)) {
      const shared = await sharedValues(io, holders);
      // What the cluster's own shards have in common are keys that were moved, and are no conflict.
      const examples = shared.examples.filter((one) => !one.shards.every(scanned));
      if (shared.count > 0 && examples.length > 0) conflicts.push({ keyspace, count: shared.count, examples });
    }
    sharedIds.push(...(await findSharedIds(io, surveyed)));
  }
  const issues = issuesOf(layout, spec, surveyed);
  conflicts.sort((a, b) => (a.keyspace < b.keyspace ? -1 : 1));
  return { tables, conflicts, sharedIds, issues, text: textOf({ tables, conflicts, sharedIds, issues }) };
}

function keyHolders(surveyed: readonly Surveyed[]): Map<string, Holder[]> {
  const byKeyspace = new Map<string, Holder[]>();
  for (const { shard, schema, placed, filled } of surveyed) {
    const own = new Map<string, { table: string; column: string }[]>();
    for (const folded of filled) {
      const placement = placed.get(folded);
      if (placement?.kind !== 'sharded') continue;
      const table = schema.tables.get(folded)?.name ?? folded;
      own.set(placement.keyspace, [...(own.get(placement.keyspace) ?? []), { table, column: placement.key.name }]);
    }
    for (const [keyspace, columns] of own) {
      byKeyspace.set(keyspace, [...(byKeyspace.get(keyspace) ?? []), { shard, columns }]);
    }
  }
  return byKeyspace;
}

/** Integer primary keys that are not the shard key: each database counted from 1. */
async function findSharedIds(io: Pick<MoveIo, 'run'>, surveyed: readonly Surveyed[]): Promise<SharedIds[]> {
  const found: SharedIds[] = [];
  for (const [folded, info] of new Map(surveyed.flatMap(({ schema }) => [...schema.tables]))) {
    const column = info.shape.rowidAlias;
    if (column === undefined) continue;
    const having = surveyed.filter(({ placed, filled }) => {
      const placement = placed.get(folded);
      return filled.has(folded) && placement?.kind === 'sharded' && !sameName(placement.key.name, column);
    });
    const holders = having.map(({ shard }) => ({ shard, columns: [{ table: info.name, column }] }));
    const ranges = await Promise.all(holders.map(({ shard }) => rangeOf(io, shard, { table: info.name, column })));
    const overlap = ranges.some((one, i) =>
      ranges.slice(i + 1).some((other) => one && other && one.lo <= other.hi && other.lo <= one.hi),
    );
    if (!overlap) continue;
    const shared = await sharedValues(io, holders);
    if (shared.count > 0) found.push({ table: info.name, column, ...shared });
  }
  return found;
}

function issuesOf(layout: Layout, spec: MoveSpec, surveyed: readonly Surveyed[]): AdoptionIssue[] {
  const issues: AdoptionIssue[] = [];
  const declared = layout.declared();
  const names = new Map(surveyed.flatMap(({ schema }) => [...schema.tables].map(([folded, info]) => [folded, info])));
  for (const { name: table } of declared) {
    const lacking = surveyed.filter(({ schema }) => !schema.tables.has(foldName(table))).map(({ shard }) => shard);
    if (lacking.length > 0)
      issues.push({
        kind: 'missing-table',
        table,
        shards: lacking,
        message: `${table} is in the schema and not there.`,
      });
  }
  for (const [folded, info] of names) {
    const having = surveyed.flatMap(({ shard, schema, placed, filled }) => {
      const own = schema.tables.get(folded);
      return own ? [{ shard, info: own, placed, isFilled: filled.has(folded) }] : [];
    });
    const table = info.name;
    const all = having.map(({ shard }) => shard);
    const known = declared.find((one) => sameName(one.name, table));
    if (!known && declared.length > 0) {
      issues.push({ kind: 'unknown-table', table, shards: all, message: `${table} is not in the schema.` });
    }
    for (const one of having) {
      issues.push(...columnIssues(known, one.info, one.shard));
      const placement = one.placed.get(folded);
      if (placement === undefined && one.isFilled) {
        issues.push({ kind: 'no-key', table, shards: [one.shard], message: whyNoKey(spec, one.info) });
      }
      if (placement?.kind === 'sharded' && !one.info.isIndexed(placement.key.name)) {
        const message = `No index of ${table} begins with ${placement.key.name}.`;
        issues.push({ kind: 'no-index', table, shards: [one.shard], message });
      }
      for (const foreign of foreignIssues(one.info, one.placed)) issues.push({ ...foreign, shards: [one.shard] });
    }
    if (new Set(having.map((one) => one.info.form)).size > 1) {
      const message = `The columns of ${table} are not the same in all databases: run the same migrations on all.`;
      issues.push({ kind: 'other-columns', table, shards: all, message });
    }
  }
  return merged(issues);
}

/** One issue for all databases that have it. */
function merged(issues: readonly AdoptionIssue[]): AdoptionIssue[] {
  const byText = new Map<string, AdoptionIssue>();
  for (const issue of issues) {
    const key = `${issue.kind} ${issue.message}`;
    byText.set(key, { ...issue, shards: [...new Set([...(byText.get(key)?.shards ?? []), ...issue.shards])] });
  }
  return [...byText.values()];
}

function columnIssues(
  known: ReturnType<Layout['declared']>[number] | undefined,
  { name: table, shape }: TableInfo,
  shard: string,
): AdoptionIssue[] {
  if (!known) return [];
  const issue = (kind: AdoptionIssue['kind'], message: string): AdoptionIssue => ({
    kind,
    table,
    shards: [shard],
    message,
  });
  return [
    ...known.columns
      .filter((column) => !findColumn(shape, column.name))
      .map((column) => issue('missing-column', `${table}.${column.name} is in the schema and not there.`)),
    ...shape.columns
      .filter((column) => !findColumn(known, column.name))
      .map((column) => issue('unknown-column', `${table}.${column.name} is not in the schema.`)),
  ];
}

function whyNoKey(spec: MoveSpec, { shape }: TableInfo): string {
  try {
    const rule = spec.tables[foldName(shape.name)];
    placeTable(shape, rule, [], rule?.key);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

function foreignIssues(info: TableInfo, placed: Surveyed['placed']): Omit<AdoptionIssue, 'shards'>[] {
  const own = placed.get(foldName(info.name));
  if (own?.kind !== 'sharded') return [];
  return info.foreignKeys.flatMap(({ table: parent, columns }) => {
    const above = placed.get(foldName(parent));
    const together =
      above?.kind === 'replicated' ||
      (above?.kind === 'sharded' &&
        above.keyspace === own.keyspace &&
        columns.some((column) => sameName(column, own.key.name)));
    if (together) return [];
    const message = `${info.name}(${columns.join(', ')}) refers to ${parent}, whose rows may be in another database.`;
    return [{ kind: 'foreign-key' as const, table: info.name, message }];
  });
}

function textOf({ tables, conflicts, sharedIds, issues }: Omit<AdoptionPlan, 'text'>): string {
  const list = ({ examples, count }: Shared) =>
    `${examples
      .slice(0, 5)
      .map(({ value, shards }) => `'${value}' (${shards.join(', ')})`)
      .join(', ')}${count > 5 ? ', …' : ''}`;
  const rows = tables.filter((one) => one.rows > 0);
  return [
    ...rows.map(({ shard, table, rows: n }) => `${shard}: ${n.toLocaleString('en')} rows of ${table}`),
    ...conflicts.map(
      (one) =>
        `conflict: ${one.count} keys of ${one.keyspace} have rows in several databases: ${list(one)}. If they have nothing to do with each other, give their tables a keyspace of their own; otherwise say which are right: resolveConflicts({ <table>: { prefer: <shard> } }).`,
    ),
    ...sharedIds.map(
      (one) =>
        `shared ids: ${one.count} values of ${one.table}.${one.column} are in several databases: ${list(one)}. resolveConflicts({ ${one.table}: 'renumber' }) gives new ones to all but the first.`,
    ),
    ...issues.map(({ kind, shards, message }) => `${kind} on ${shards.join(', ')}: ${message}`),
    `${rows.reduce((sum, one) => sum + one.rows, 0).toLocaleString('en')} rows; ${conflicts.length + sharedIds.length === 0 ? 'no conflicts' : 'conflicts to decide'}.`,
  ].join('\n');
}
