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

/** How many tables outside the schema are remembered. */
const MAX_DISCOVERED = 1000;

/** Every table that statements may name, and how its rows are spread. */
export class Layout {
  readonly #tables = new Map<string, Table>();
  readonly #discovered = new Map<string, Table>();
  readonly #insertOrders = new Map<string, readonly string[]>();

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
      layout.#tables.set(foldName(shape.name), placeTable(shape, rule, shards, key));
    }
    checkForeignKeys([...layout.#tables.values()]);
    return layout;
  }

  /** The table, or undefined when the database has to be asked first. */
  find(name: string): Table | undefined {
    const folded = foldName(name);
    return (
      this.#tables.get(folded) ??
      this.#discovered.get(folded) ??
      (isSystemTable(folded) ? systemTable(name) : undefined)
    );
  }

  /**
   * The columns of an INSERT without a column list, in the database's own order, which the schema need not have.
   *
   * @throws TablesNeeded when the database has not been asked yet.
   */
  insertOrder(table: Table): readonly string[] {
    const order = this.#insertOrders.get(foldName(table.name));
    if (!order) throw new TablesNeeded([table.name]);
    return order;
  }

  /** Asks `d1` what it has under this name, and remembers it. */
  async discover(name: string, d1: Pick<D1Database, 'prepare' | 'batch'>): Promise<void> {
    const folded = foldName(name);
    const shape = await discoverTable(d1, name);
    if (this.#discovered.size + this.#insertOrders.size >= MAX_DISCOVERED) this.forget();
    const insertable = shape.columns.filter((column) => !column.generated);
    this.#insertOrders.set(
      folded,
      insertable.map((column) => column.name),
    );
    if (!this.#tables.has(folded)) this.#discovered.set(folded, placeTable(shape, this.rules.get(folded), this.shards));
  }

  /** Forgets what was asked of the database: a schema change may have made it untrue. */
  forget(): void {
    this.#discovered.clear();
    this.#insertOrders.clear();
  }
}

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
