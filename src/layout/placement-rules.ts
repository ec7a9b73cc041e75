import type { TableRule } from '../config';
import { ConfigError } from '../errors';
import { type Column, findColumn, isSystemTable, type Placement, sameName, type Table, type TableShape } from './table';

export const DEFAULT_KEYSPACE = 'default';

/** Decides how a table's rows are spread, or says why that cannot be. Pure. */
export function placeTable(
  shape: TableShape,
  rule: TableRule | undefined,
  shards: readonly string[],
  keyColumn?: string,
): Table {
  return { ...shape, placement: decide(shape, rule ?? {}, shards, keyColumn) };
}

function decide(
  shape: TableShape,
  rule: TableRule,
  shards: readonly string[],
  keyColumn: string | undefined,
): Placement {
  const { name } = shape;
  if (isSystemTable(name) || rule.replicated) return { kind: 'replicated' };
  if (rule.shard !== undefined) {
    if (!shards.includes(rule.shard)) {
      throw new ConfigError(`tables.${name}.shard is '${rule.shard}', which is no shard.`, {
        tables: [name],
        remedy: `Write one of: ${shards.join(', ')}.`,
      });
    }
    return { kind: 'pinned', shard: rule.shard };
  }
  return { kind: 'sharded', key: keyOf(shape, keyColumn ?? rule.key), keyspace: rule.keyspace ?? DEFAULT_KEYSPACE };
}

function keyOf(shape: TableShape, wanted: string | undefined): Column {
  const { name } = shape;
  const choices = `Write one of: tables: { ${name}: { key: '<column>' } }, { replicated: true } or { shard: '<name>' }.`;
  const refuse = (why: string): never => {
    throw new ConfigError(`Table ${name} has no usable shard key: ${why}.`, { tables: [name], remedy: choices });
  };
  const chosen = wanted ?? (shape.primaryKey.length === 1 ? shape.primaryKey[0] : undefined);
  if (chosen === undefined) {
    return refuse(
      shape.primaryKey.length === 0
        ? 'it has no primary key'
        : `its primary key is composite (${shape.primaryKey.join(', ')})`,
    );
  }
  const column = findColumn(shape, chosen) ?? refuse(`it has no column ${chosen}`);
  if (column.generated) return refuse(`${column.name} is a generated column`);
  if (column.collation !== 'BINARY')
    return refuse(`${column.name} has COLLATE ${column.collation}, so equal keys could differ`);
  if (column.affinity !== 'integer' && column.affinity !== 'text') {
    return refuse(`${column.name} is ${column.affinity}, and only integer and text keys compare exactly`);
  }
  return column;
}

/**
 * Checks that every foreign key can be enforced by the shard that holds the row: the parent is replicated, lives with its
 * child, or both are whole on one shard.
 *
 * @throws ConfigError naming the two tables and what to write.
 */
export function checkForeignKeys(tables: readonly Table[]): void {
  for (const child of tables) {
    for (const key of child.foreignKeys) {
      const parent = tables.find((table) => sameName(table.name, key.table));
      if (!parent || parent.placement.kind === 'replicated') continue;
      if (livesWithParent(child, parent, key)) continue;
      throw new ConfigError(
        `The foreign key ${child.name}(${key.columns.join(', ')}) → ${parent.name}(${key.foreignColumns.join(', ')}) crosses shards: no shard could enforce it.`,
        {
          tables: [child.name, parent.name],
          remedy: `Give ${child.name} the key that refers to ${parent.name}'s shard key, make ${parent.name} { replicated: true }, or drop the foreign key.`,
        },
      );
    }
  }
}

function livesWithParent(child: Table, parent: Table, key: Table['foreignKeys'][number]): boolean {
  const a = child.placement;
  const b = parent.placement;
  if (a.kind === 'pinned' && b.kind === 'pinned') return a.shard === b.shard;
  if (a.kind !== 'sharded' || b.kind !== 'sharded') return false;
  if (a.keyspace !== b.keyspace || a.key.affinity !== b.key.affinity) return false;
  return key.columns.some(
    (column, i) => sameName(column, a.key.name) && sameName(key.foreignColumns[i] ?? '', b.key.name),
  );
}
