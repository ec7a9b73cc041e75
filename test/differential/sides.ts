import type { DrizzleD1Database } from 'drizzle-orm/d1';
import { drizzle } from 'drizzle-orm/d1';
import { shardedDrizzle } from '../../src';
import { resetDatabases } from '../support/reset';
import { runEverywhere } from '../support/seed';
import { plain, shards } from '../support/shards';
import { TABLES } from './catalog';
import type { Dataset, Row } from './data';
import { ddl, rules, schema } from './schema';

type Database = DrizzleD1Database<typeof schema>;

/** The same rows in one D1 and over several. */
export interface Sides {
  readonly plain: Database;
  readonly sharded: Database;
  readonly shards: Readonly<Record<string, D1Database>>;
  /** How many statements the sharded side has run in each way. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Gives keys to other shards than their slots', with their rows. */
  move(keys: readonly (string | number)[]): Promise<void>;
  /** How the sharded side would run a statement, as text. */
  explain(statement: { sql: string; params: unknown[] }): Promise<string>;
}

/**
 * Empty databases with the tables in them.
 *
 * @param relations What `db.query` of drizzle-orm 0.45 needs, as exports of a schema.
 */
export async function openSides(count: number, relations: Record<string, unknown> = {}): Promise<Sides> {
  await resetDatabases();
  const databases = shards(count);
  await runEverywhere(databases, ddl);
  const all = { ...schema, ...relations } as typeof schema;
  const kinds: Record<string, number> = {};
  const sharded = shardedDrizzle({
    schema: all,
    shards: databases,
    tables: rules,
    onQuery: ({ kind }) => {
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    },
  });
  return {
    plain: drizzle(plain, { schema: all }),
    sharded,
    shards: databases,
    kinds,
    move: async (keys) => {
      const names = Object.keys(databases);
      for (const [i, key] of keys.entries()) await sharded.$cluster.reassign(key, names[i % count] as string);
    },
    explain: async (statement) => (await sharded.$explain(statement)).text,
  };
}

/** D1 binds at most 100 values in a statement. */
const MAX_PARAMETERS = 100;

/** The same Drizzle inserts on both sides; then some of the keys are moved. */
export async function load({ plain, sharded, shards, move }: Sides, dataset: Dataset): Promise<void> {
  for (const db of [plain, sharded]) {
    for (const { name, table, columns } of TABLES) {
      for (const rows of chunks(dataset[name], Math.floor(MAX_PARAMETERS / Object.keys(columns).length))) {
        // Drizzle's types want each table's own row type, which a loop over tables does not know.
        await db.insert(table).values(rows as never);
      }
    }
  }
  if (Object.keys(shards).length === 1) return;
  const some = [...dataset.users.slice(0, MOVED), ...dataset.orders.slice(0, MOVED)];
  await move(some.map(({ id }) => id as string | number));
}

/** Keys of each keyspace that are moved. */
const MOVED = 4;

function chunks(rows: readonly Row[], size: number): Row[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size));
}
