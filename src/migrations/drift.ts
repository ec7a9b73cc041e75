import type { Migration } from './bundle';
import type { Obstacle } from './errors';
import type { ShardPlan } from './plan';
import { compareSchemas, type SchemaDifference } from './schema/compare';
import type { SchemaAfter } from './schema/expected';
import type { Schema } from './schema/schema';
import { statementsOf } from './statements';

/** Differences in the message of an obstacle; all are in its `differences`. */
const MAX_NAMED = 5;

/**
 * In what a shard differs from the schema that its migrations give. Undefined where that cannot be told: what it has applied is
 * not what the folder says, or the folder begins with tables whose statements are not known.
 */
export async function driftOf(
  plan: ShardPlan,
  actual: Schema,
  expected: SchemaAfter,
): Promise<SchemaDifference[] | undefined> {
  if (plan.obstacles.some(({ kind }) => kind !== 'format')) return undefined;
  const schema = await expected(standingOf(plan));
  return schema && compareSchemas(schema, actual);
}

/** A first file without statements stands for tables that are there already, before it is in the ledger. */
function standingOf({ applied, pending: [first] }: ShardPlan): readonly Migration[] {
  return applied.length === 0 && first && statementsOf(first.sql).length === 0 ? [first] : applied;
}

export function driftObstacle(shard: string, differences: readonly SchemaDifference[]): Obstacle {
  const named = differences.slice(0, MAX_NAMED).map(({ message }) => message);
  const rest = differences.length - named.length;
  return {
    shard,
    kind: 'drift',
    differences,
    message: `${shard} is not what its migrations make: ${named.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}. Put it right by hand, or write a migration of what was done there.`,
  };
}
