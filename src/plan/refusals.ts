import { ShardKeyChangeError, ShardKeyError, UnsupportedStatementError } from '../errors';
import type { Column, Table } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { unstableIn } from '../sql/functions';

export function missingKey(table: Table, key: Column, sql: string): ShardKeyError {
  return new ShardKeyError(`A row of ${table.name} has no value for its shard key ${key.name}.`, {
    tables: [table.name],
    sql,
    remedy: `Give ${key.name} in the values, or a $defaultFn in the schema: a default of the database is only known after the row has found its shard.`,
  });
}

export function missingId(table: Table, id: string, sql: string): ShardKeyError {
  return new ShardKeyError(
    `A row of ${table.name} leaves ${id} to the database, but every shard counts from 1 by itself.`,
    {
      tables: [table.name],
      sql,
      remedy: `Give ${id} a value that is unique over all shards.`,
    },
  );
}

export const keyChange = (table: string, key: Column, sql: string): ShardKeyChangeError =>
  new ShardKeyChangeError(
    `The statement sets ${table}.${key.name}, the shard key: a row that changes it would have to move to another shard.`,
    {
      tables: [table],
      sql,
      remedy: 'Insert the row with the new key, then delete the old one.',
    },
  );

/**
 * After a write to a replicated table every shard must hold the same rows.
 *
 * @throws UnsupportedStatementError when what is written can differ from shard to shard.
 */
export function checkReplicatedWrite(parsed: Parsed, range: Range, table: Table, readsSharded: boolean): void {
  const unstable = unstableIn(parsed.tokens, range);
  if (!readsSharded && !unstable) return;
  const why = readsSharded ? 'the statement reads tables that are not' : `${unstable} differs from shard to shard`;
  throw new UnsupportedStatementError(`${table.name} is replicated, and ${why}: each shard would write other rows.`, {
    tables: [table.name],
    sql: parsed.sql,
    remedy: 'Compute the values first, then bind them.',
  });
}
