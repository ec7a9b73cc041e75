import type { ShardedConfig } from '../config';
import { ConfigError, SchemaBehindError } from '../errors';
import { readMigrations } from '../migrations/bundle';
import { LEDGER } from '../migrations/ledger';
import { raise } from '../placement/guard';
import type { BoundStatement } from '../sql/bound';

const BEHIND = 'SCHEMA_BEHIND';

/** What goes into the first batch of an isolate on each shard, so that one which lacks migrations runs nothing of it. */
export interface SchemaCheck {
  /** Undefined once the shard is known to have all of them: migrations do not go back. */
  statementFor(shard: string): BoundStatement | undefined;
  passed(shard: string): void;
  /** What a batch with that statement failed with, when the statement is why. */
  errorOf(shard: string, error: unknown): SchemaBehindError | undefined;
}

/**
 * @param current What is known in this isolate, for all configurations of it.
 * @throws ConfigError when there are no migrations to look for.
 */
export function schemaCheckOf(
  { schemaCheck = false, migrations }: Pick<ShardedConfig, 'schemaCheck' | 'migrations'>,
  current: Set<string>,
): SchemaCheck | undefined {
  if (!schemaCheck) return undefined;
  const newest = migrations && readMigrations(migrations).migrations.at(-1);
  if (!newest) {
    throw new ConfigError('`schemaCheck` has no migrations to look for.', {
      remedy: "Pass them: import migrations from '../drizzle/migrations' and write { migrations, schemaCheck: true }.",
    });
  }
  const { tag, when } = newest;
  const statement = {
    sql: `select case when coalesce((select max(created_at) from "${LEDGER}"), 0) < cast(?1 as integer)
      then ${raise(`'${BEHIND}'`)} end as behind`,
    params: [String(when)],
  };
  const name = (shard: string) => `${when} ${shard}`;
  return {
    statementFor: (shard) => (current.has(name(shard)) ? undefined : statement),
    passed: (shard) => current.add(name(shard)),
    errorOf: (shard, error) => {
      const message = error instanceof Error ? error.message : String(error);
      const isBehind = message.includes(BEHIND) || message.includes(`no such table: ${LEDGER}`);
      return isBehind ? new SchemaBehindError(shard, tag, { cause: error }) : undefined;
    },
  };
}
