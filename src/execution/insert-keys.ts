import { UnsupportedStatementError } from '../errors';
import type { Column } from '../layout/table';
import type { PlacedKey } from '../placement/guard';
import { canonicalValue } from '../plan/key-set';
import type { InsertPlan, WritePlan } from '../plan/plan';
import { keyChange } from '../plan/refusals';
import type { RouteContext } from './route';

export const keyspaceOf = ({ table }: InsertPlan | WritePlan): string =>
  table.placement.kind === 'sharded' ? table.placement.keyspace : '';

export function keyColumn({ table }: InsertPlan | WritePlan): Column {
  if (table.placement.kind !== 'sharded') throw new TypeError(`${table.name} is not sharded`);
  return table.placement.key;
}

/** Rows with one id can be on different shards: another column is the shard key. */
export const placesByOther = ({ table }: InsertPlan): boolean =>
  table.placement.kind === 'sharded' && table.placement.key.name !== table.rowidAlias;

/** The sequence goes on above the ids that rows come with. */
export async function passOverAll(plan: InsertPlan, ids: readonly unknown[], context: RouteContext): Promise<void> {
  // No spread: there may be more rows than a call takes arguments.
  const highest = ids.map(Number).reduce((most, id) => (Number.isSafeInteger(id) && id > most ? id : most), 0);
  if (highest > 0) await context.passOver(plan.table.name, highest);
}

/** `do update set key = ...` may only be the key that is inserted. */
export function checkUpsertedKey(plan: InsertPlan, key: string, params: readonly unknown[], sql: string): void {
  const column = keyColumn(plan);
  if (plan.keyUpdates.some((value) => value.kind === 'json' || canonicalValue(value, column.affinity, params) !== key))
    throw keyChange(plan.table.name, column, sql);
}

/** The rows that each shard gets, by their numbers. */
export function groupByOwner(placed: readonly PlacedKey[], rowKeys: readonly string[]): Map<string, number[]> {
  const byKey = new Map(placed.map((one) => [one.key, one]));
  const groups = new Map<string, number[]>();
  for (const [i, key] of rowKeys.entries()) {
    const { shard } = byKey.get(key) as PlacedKey;
    const rows = groups.get(shard);
    if (rows) rows.push(i);
    else groups.set(shard, [i]);
  }
  return groups;
}

export const readsElsewhere = (plan: InsertPlan | WritePlan, sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError(
    `The write to ${plan.table.name} reads ${plan.tables.join(', ')}, whose rows are on other shards.`,
    {
      tables: plan.tables,
      sql,
      remedy:
        plan.kind === 'insert'
          ? 'Leave the subquery out of ON CONFLICT and RETURNING: read what it gives, and bind it.'
          : plan.remedy,
    },
  );
