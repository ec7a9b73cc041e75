import type { Layout } from '../layout/layout';
import { DEFAULT_KEYSPACE } from '../layout/placement-rules';
import type { Column, Table } from '../layout/table';
import { canonicalKey } from '../placement/key';
import { canonicalValue, keysOf } from '../plan/key-set';
import type { InsertPlan, Plan } from '../plan/plan';
import { KeyMismatchError } from './errors';

/** What a statement's own text and values say of the key that it was given. */
export type Fit =
  /** It names the key, or no sharded table: it finds its shards by itself. */
  | { readonly kind: 'named' }
  /** Some of its tables have no condition on their key: it is run on the key's shard alone. */
  | { readonly kind: 'unnamed'; readonly keyspace: string; readonly key: string };

const NAMED: Fit = { kind: 'named' };

/**
 * Compares the key that a statement was given with those that it names.
 *
 * @throws KeyMismatchError when it names others.
 */
export function fitOf(plan: Plan, key: string, sql: string, params: readonly unknown[], layout: Layout): Fit {
  const told = { plan, key, sql };
  if (plan.kind === 'insert' && plan.mode === 'rows') {
    checkRows(plan, told, params);
    return NAMED;
  }
  const reaches = plan.reaches.filter((reach) => reach.kind === 'keys');
  const tables = shardedTables(plan, layout);
  for (const reach of reaches) {
    const keys = keysOf(reach.keys, params);
    const column = columnOf(tables, reach.keyspace);
    if (keys !== 'all') checkKeys([...keys], column?.table, column?.key, told);
  }
  const open = reaches.find((reach) => keysOf(reach.keys, params) === 'all');
  if (!open) return plan.kind === 'every' && plan.neutral ? unnamed(tables, DEFAULT_KEYSPACE, key) : NAMED;
  // Another mention may name the key: it is meant in the keyspace of that.
  const anchor = reaches.find((reach) => sizeOf(keysOf(reach.keys, params)) > 0) ?? open;
  return unnamed(tables, anchor.keyspace, key);
}

const sizeOf = (keys: ReadonlySet<string> | 'all'): number => (keys === 'all' ? 0 : keys.size);

interface Told {
  readonly plan: Plan;
  readonly key: string;
  readonly sql: string;
}

interface KeyedColumn {
  readonly table: Table;
  readonly key: Column;
  readonly keyspace: string;
}

const shardedTables = (plan: Plan, layout: Layout): KeyedColumn[] =>
  plan.tables.flatMap((name) => {
    const table = layout.find(name);
    return table?.placement.kind === 'sharded' ? [{ table, ...table.placement }] : [];
  });

const columnOf = (tables: readonly KeyedColumn[], keyspace: string): KeyedColumn | undefined =>
  tables.find((one) => one.keyspace === keyspace);

function unnamed(tables: readonly KeyedColumn[], keyspace: string, key: string): Fit {
  const affinity = columnOf(tables, keyspace)?.key.affinity ?? 'text';
  return { kind: 'unnamed', keyspace, key: canonicalKey(key, affinity) ?? key };
}

function checkRows(plan: InsertPlan, told: Told, params: readonly unknown[]): void {
  const { table } = plan;
  if (table.placement.kind !== 'sharded') return;
  const column = table.placement.key;
  const keys = plan.rows.map(({ key }) => {
    const value = key && key.kind !== 'json' ? canonicalValue(key, column.affinity, params) : undefined;
    // What is no key at all is refused for that, and says so.
    if (value === undefined && key !== undefined) return undefined;
    if (typeof value === 'string' || plan.idColumn !== column.name) return value;
    throw new KeyMismatchError(
      `The statement was given the key '${told.key}', and its row of ${table.name} leaves ${column.name} to be numbered.`,
      {
        tables: [table.name],
        sql: told.sql,
        remedy: `Give ${column.name}; or let another column be the shard key: tables: { ${table.name}: { key: '<column>' } }.`,
      },
    );
  });
  checkKeys(
    keys.filter((key) => typeof key === 'string'),
    table,
    column,
    told,
  );
}

const LISTED = 5;

function checkKeys(keys: readonly string[], table: Table | undefined, column: Column | undefined, told: Told): void {
  const wanted = canonicalKey(told.key, column?.affinity ?? 'text');
  const others = keys.filter((key) => key !== wanted);
  if (others.length === 0) return;
  const names = others.slice(0, LISTED).map((key) => `'${key}'`);
  const more = others.length > LISTED ? `, and ${others.length - LISTED} more` : '';
  const where = table && column ? `${table.name}.${column.name}` : told.plan.tables.join(', ');
  const single = keys.length === 1;
  throw new KeyMismatchError(
    `The statement was given the key '${told.key}', and names ${single ? 'another one' : 'others'} of ${where}: ${names.join(', ')}${more}.`,
    {
      tables: told.plan.tables,
      sql: told.sql,
      remedy: single
        ? `Write the key '${keys[0]}'; or, if rows of ${table?.name ?? 'the table'} shall live with another key, say so: tables: { ${table?.name ?? '<table>'}: { key: '<column>' } }.`
        : 'Write one statement for each key, or use db, which asks all their shards.',
    },
  );
}
