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
    explain: async (statement) => (await sharded.$explain(statement)).text,
  };
}

/** D1 binds at most 100 values in a statement. */
const MAX_PARAMETERS = 100;

/** The same Drizzle inserts on both sides. */
export async function load({ plain, sharded }: Sides, dataset: Dataset): Promise<void> {
  for (const db of [plain, sharded]) {
    for (const { name, table, columns } of TABLES) {
      for (const rows of chunks(dataset[name], Math.floor(MAX_PARAMETERS / Object.keys(columns).length))) {
        // Drizzle's types want each table's own row type, which a loop over tables does not know.
        await db.insert(table).values(rows as never);
      }
    }
  }
}

function chunks(rows: readonly Row[], size: number): Row[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size));
}
