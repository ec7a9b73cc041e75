import { sameName } from '../layout/table';
import type { KeyTable } from '../moves/key-tables';
import { foldName } from '../sql/tokens';
import type { FoundKey } from './statements';

/**
 * What becomes of rows of a table when two databases came with the same key: those of one database stay, and all others are set
 * aside; or all but the first get new ids, which only a table with an `integer primary key` that nothing refers to can have.
 * Where that is not the shard key, new ids are for rows of different keys that have the same one, and decide no key.
 */
export type ConflictRule<TShard extends string = string> = { readonly prefer: TShard } | 'renumber';

/** By table name. */
export type ConflictRules<TShard extends string = string> = Readonly<Record<string, ConflictRule<TShard>>>;

/** A key, and the tables with rows of it on each shard. */
export interface Held {
  readonly key: FoundKey;
  readonly tables: ReadonlyMap<string, readonly KeyTable[]>;
}

/** What is to be done with one key. */
export interface Decision extends Held {
  readonly winner: string;
}

/** Rows that do not stay where they are: keys of one table on one shard. */
export interface Losing {
  readonly table: KeyTable;
  readonly keys: readonly string[];
}

export function losersOf(decisions: readonly Decision[]): Map<string, Losing[]> {
  const losing = new Map<string, Map<KeyTable, string[]>>();
  for (const { key, tables, winner } of decisions) {
    for (const [shard, list] of tables) {
      if (shard === winner) continue;
      const own = losing.get(shard) ?? new Map<KeyTable, string[]>();
      losing.set(shard, own);
      for (const table of list) own.set(table, [...(own.get(table) ?? []), key.key]);
    }
  }
  return new Map(
    [...losing].map(([shard, own]) => [shard, [...own].map(([table, keys]) => ({ table, keys }))] as const),
  );
}

/** The shard whose rows stay; the table that says nothing of rows which would have to go. */
export function decide(
  { tables }: Held,
  home: string,
  rules: ReadonlyMap<string, ConflictRule>,
): string | { readonly table: string } {
  const holders = [...tables.keys()];
  if (holders.length < 2) return holders[0] ?? home;
  const preferred = new Set<string>();
  for (const list of tables.values()) {
    for (const { name: table } of list) {
      const rule = rules.get(foldName(table));
      if (rule !== undefined && rule !== 'renumber') preferred.add(rule.prefer);
    }
  }
  const winner = [...preferred][0] ?? (holders[0] as string);
  for (const [shard, list] of tables) {
    for (const one of list) {
      const table = one.name;
      const rule = rules.get(foldName(table));
      const isTold = rule === 'renumber' ? isKeyedById(one) : rule?.prefer === winner;
      if (shard !== winner && !isTold) return { table };
    }
  }
  if (holders.includes(winner)) return winner;
  return { table: [...tables.values()].flat()[0]?.name ?? '' };
}

const isKeyedById = ({ key, rowidAlias }: KeyTable): boolean => rowidAlias !== undefined && sameName(rowidAlias, key);
