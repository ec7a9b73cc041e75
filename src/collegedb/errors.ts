import { type ErrorDetails, ShardedDrizzleError } from '../errors';

/**
 * What CollegeDB's functions refuse, with CollegeDB's codes: `NOT_INITIALIZED`, `NO_SHARDS`, `SHARD_NOT_FOUND`,
 * `MAPPING_NOT_FOUND`, `SCHEMA_MIGRATION_FAILED`, `DISCOVERY_FAILED`. What sharded-drizzle itself refuses is a
 * `ShardedDrizzleError`, as everywhere.
 */
export class CollegeDBError extends Error {
  override readonly name = 'CollegeDBError';

  constructor(
    message: string,
    readonly code?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The key that a statement was given is not the one that its text names. Nothing was run. */
export class KeyMismatchError extends ShardedDrizzleError {
  constructor(message: string, details?: ErrorDetails) {
    super('KEY_MISMATCH', message, details);
  }
}

/** @throws CollegeDBError that names the shards that there are. */
export function checkShard(name: string, shards: Iterable<string>): void {
  const names = [...shards];
  if (names.includes(name)) return;
  throw new CollegeDBError(`There is no shard ${name}. Write one of: ${names.join(', ')}.`, 'SHARD_NOT_FOUND');
}

export const takesNoKeys = (shard: string): CollegeDBError =>
  new CollegeDBError(
    `${shard} takes no new keys: it is being added or emptied. db.$cluster.shards() tells; db.$cluster.addShard('${shard}') adds it.`,
    'SHARD_UNAVAILABLE',
  );
