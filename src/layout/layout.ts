import type { ShardedConfig, TableRule } from '../config';
import { ConfigError } from '../errors';
import { foldName } from '../sql/tokens';
import { discoverTable } from './discover';
import { readSchema } from './drizzle-schema';
import { checkForeignKeys, placeTable } from './placement-rules';
import { findColumn, isSystemTable, type Table } from './table';

/** Thrown while planning: the database has to be asked for these tables, then planning is done again. */
export class TablesNeeded extends Error {
  constructor(readonly names: readonly string[]) {
    super(`unknown tables: ${names.join(', ')}`);
  }
}

/** How many shapes that were asked of the database are remembered. */
const MAX_ASKED = 1000;
/** For how long: somebody else may alter a table while this isolate lives. */
const MAX_AGE_MS = 60_000;

interface Asked {
  readonly table: Table;
  readonly at: number;
}

/**
 * Every table that statements may name, and how its rows are spread. What the schema says is enough for statements that go
 * to one shard untouched; those that are taken apart need the columns as the database has them, and ask.
 */
export class Layout {
  readonly #schema = new Map<string, { readonly table: Table; readonly rule: TableRule | undefined }>();
  readonly #asked = new Map<string, Asked>();

  private constructor(
    readonly shards: readonly string[],
    readonly rules: ReadonlyMap<string, TableRule>,
  ) {}

  /** @throws ConfigError for every mistake that shows without asking a database. */
  static fromConfig(config: ShardedConfig): Layout {
    const shards = checkShards(config.shards);
    const given = (config.tables ?? {}) as Record<string, TableRule | undefined>;
    const tables = readSchema(config.schema ?? {}, config.casing);
    const rules = new Map<string, TableRule>();
    for (const [name, rule] of Object.entries(given)) {
      if (!rule) continue;
      checkRule(name, rule);
      const known = tables.some((table) => table.exportName === name);
      if (!known && config.schema) {
        throw new ConfigError(`tables.${name}: the schema has no table of that name.`, {
          tables: [name],
          remedy: `Write one of: ${tables.map((table) => table.exportName).join(', ')}.`,
        });
      }
      if (!known) rules.set(foldName(name), rule);
    }
    const layout = new Layout(shards, rules);
    for (const { exportName, shape, properties } of tables) {
      const rule = given[exportName];
      const key = rule?.key === undefined ? undefined : (properties.get(rule.key) ?? findColumn(shape, rule.key)?.name);
      if (rule?.key !== undefined && key === undefined) {
        throw new ConfigError(`tables.${exportName}.key is '${rule.key}', which is no column of ${shape.name}.`, {
          tables: [shape.name],
          remedy: `Write one of: ${[...properties.keys()].join(', ')}.`,
        });
      }
      layout.#schema.set(foldName(shape.name), { table: placeTable(shape, rule, shards, key), rule });
    }
    checkForeignKeys(layout.declared());
    return layout;
  }

  /** The table, or undefined when the database has to be asked first. */
  find(name: string): Table | undefined {
    const folded = foldName(name);
    const known = this.#asked.get(folded) ?? this.#schema.get(folded);
    return known?.table ?? (isSystemTable(folded) ? systemTable(name) : undefined);
  }

  /** The tables of the schema. */
  declared(): readonly Table[] {
    return [...this.#schema.values()].map(({ table }) => table);
  }

  /** Has the database been asked for this table lately? */
  isFresh(name: string): boolean {
    const asked = this.#asked.get(foldName(name));
    return isSystemTable(name) || (asked !== undefined && Date.now() - asked.at < MAX_AGE_MS);
  }

  /**
   * The table as the database has it.
   *
   * @throws TablesNeeded when the database has not been asked lately.
   */
  actual(table: Table): Table {
    if (!this.isFresh(table.name)) throw new TablesNeeded([table.name]);
    return this.find(table.name) ?? table;
  }

  /** Asks `d1` what it has under this name, and remembers it. True when plans made before may be wrong. */
  async discover(name: string, d1: Pick<D1Database, 'prepare' | 'batch'>): Promise<boolean> {
    const folded = foldName(name);
    const before = this.find(name);
    const declared = this.#schema.get(folded);
    const shape = await discoverTable(d1, name);
    const placement = declared?.table.placement;
    const key = placement?.kind === 'sharded' ? placement.key.name : undefined;
    const table = placeTable(shape, declared?.rule ?? this.rules.get(folded), this.shards, key);
    if (this.#asked.size >= MAX_ASKED) this.#asked.clear();
    this.#asked.set(folded, { table, at: Date.now() });
    return before !== undefined && !isSameShape(before, table);
  }

  /** Forgets what was asked of the database: a schema change may have made it untrue. */
  forget(): void {
    this.#asked.clear();
  }
}

/** Foreign keys and NOT NULL, which only a database tells, play no part in plans. */
const isSameShape = (a: Table, b: Table): boolean => planned(a) === planned(b);

const planned = (table: Table): string =>
  JSON.stringify({ ...table, name: '', foreignKeys: [] }, (key, value) => (key === 'notNull' ? undefined : value));

const systemTable = (name: string): Table => ({
  name,
  columns: [],
  primaryKey: [],
  uniques: [],
  foreignKeys: [],
  rowidAlias: undefined,
  placement: { kind: 'replicated' },
});

function checkShards(shards: Record<string, D1Database> | undefined): string[] {
  const example = "Write shards: { 'db-east': env.DB_EAST, 'db-west': env.DB_WEST }.";
  const names = Object.keys(shards ?? {});
  if (names.length === 0) throw new ConfigError('`shards` names no database.', { remedy: example });
  for (const name of names) {
    if (typeof shards?.[name]?.prepare !== 'function') {
      throw new ConfigError(`shards['${name}'] is no D1 database.`, {
        remedy: `Is its binding in wrangler.toml? ${example}`,
      });
    }
    if (/^\d+$/.test(name) || name === '') {
      throw new ConfigError(`'${name}' cannot be a shard's name: JavaScript would reorder it.`, { remedy: example });
    }
  }
  return names;
}

function checkRule(name: string, rule: TableRule): void {
  const chosen = [rule.key !== undefined, rule.replicated === true, rule.shard !== undefined].filter(Boolean).length;
  if (chosen > 1) {
    throw new ConfigError(`tables.${name} says more than one of key, replicated and shard.`, {
      tables: [name],
      remedy: 'Keep one.',
    });
  }
}
