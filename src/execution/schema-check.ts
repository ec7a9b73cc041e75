import type { ShardedConfig } from '../config';
import { ConfigError, SchemaBehindError } from '../errors';
import { readMigrations } from '../migrations/bundle';
import { LEDGER } from '../migrations/ledger';
import { raise } from '../placement/guard';
import type { IsolateState } from '../placement/isolate';
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
 * @param remember Keeps it for the isolate: the bundle is read once, and not for each request that makes its database object.
 * @throws ConfigError when there are no migrations to look for.
 */
export function schemaCheckOf(
  { schemaCheck = false, migrations }: Pick<ShardedConfig, 'schemaCheck' | 'migrations'>,
  remember: IsolateState['remembered'],
): SchemaCheck | undefined {
  if (!schemaCheck) return undefined;
  return remember(['schemaCheck', migrations], () => checkFor(migrations));
}

function checkFor(migrations: ShardedConfig['migrations']): SchemaCheck & { forget(): void } {
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
  const current = new Set<string>();
  return {
    statementFor: (shard) => (current.has(shard) ? undefined : statement),
    passed: (shard) => current.add(shard),
    forget: () => current.clear(),
    errorOf: (shard, error) => {
      const message = error instanceof Error ? error.message : String(error);
      const isBehind = message.includes(BEHIND) || message.includes(`no such table: ${LEDGER}`);
      return isBehind ? new SchemaBehindError(shard, tag, { cause: error }) : undefined;
    },
  };
}
