import { ShardKeyChangeError, ShardKeyError, UnsupportedStatementError } from '../errors';
import { type Column, sameName, type Table } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { columnEnd } from '../sql/conditions';
import { unstableIn } from '../sql/functions';
import { isOp, type Token } from '../sql/tokens';

export function missingKey(table: Table, key: Column, sql: string): ShardKeyError {
  return new ShardKeyError(`A row of ${table.name} has no value for its shard key ${key.name}.`, {
    tables: [table.name],
    sql,
    remedy: `Give ${key.name} in the values, or a $defaultFn in the schema: a default of the database is only known after the row has found its shard.`,
  });
}

export function missingId(table: Table, id: string, sql: string): ShardKeyError {
  return new ShardKeyError(
    `A row of ${table.name} leaves ${id} to the database, and each shard would fill it in by itself.`,
    {
      tables: [table.name],
      sql,
      remedy: `Give ${id} a value that is unique over all shards.`,
    },
  );
}

/** A row to insert without a key. */
export const nullKey = (table: Table, key: Column, sql: string): ShardKeyError =>
  new ShardKeyError(`The shard key ${table.name}.${key.name} is null.`, {
    tables: [table.name],
    sql,
    remedy: 'Give every row a key: rows without one could not be found by key.',
  });

/** A row to insert whose key is of another type than its column. */
export const wrongKey = (table: Table, key: Column, value: string, sql: string): ShardKeyError => {
  const isText = key.affinity === 'text';
  const wanted = isText
    ? 'text; D1 would store a number as 1.0 or 1, depending on how it is bound'
    : 'an integer that JavaScript holds exactly, or its text';
  return new ShardKeyError(`The shard key ${table.name}.${key.name} is ${value}, but has to be ${wanted}.`, {
    tables: [table.name],
    sql,
    remedy: isText ? 'Write String(value).' : 'Write a whole number.',
  });
};

/** The range is nothing but the column's name, bare or behind one of the qualifiers: `id`, `excluded.id`. */
export function isColumnNamed(
  tokens: readonly Token[],
  range: Range,
  name: string,
  qualifiers: readonly string[],
): boolean {
  if (columnEnd(tokens, range) !== range.to || !sameName(tokens[range.to - 1]?.value ?? '', name)) return false;
  const [qualifier, dot] = tokens.slice(range.from, range.to);
  if (range.to - range.from === 1) return true;
  return (
    range.to - range.from === 3 && isOp(dot, '.') && qualifiers.some((one) => sameName(one, qualifier?.value ?? ''))
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

/** Unique columns without the shard key: each shard sees only its own rows' values. */
export const blindUniques = (table: Table, key: Column): (readonly string[])[] => {
  const primary = table.primaryKey.length > 0 ? [table.primaryKey] : [];
  return [...primary, ...table.uniques].filter((columns) => !columns.some((name) => sameName(name, key.name)));
};

/** A unique value on another shard is not seen, so a conflict with it would pass. */
export const blindConflict = (what: string, table: Table, columns: readonly string[], sql: string, remedy: string) =>
  new UnsupportedStatementError(
    `${what} on ${table.name}(${columns.map((name) => name || '<expression>').join(', ')}): a row with that value may be on another shard, where it cannot be seen.`,
    { tables: [table.name], sql, remedy },
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
