import { ShardKeyError, UnsupportedStatementError } from '../errors';
import type { TwoPhaseStep } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { inRows, joinWithin, rowPath, valueAt } from '../sql/json-values';
import { bindTemplate, SqlWriter } from '../sql/template';
import { quoteName } from '../sql/tokens';

/** A row that was found: its shard key as it came, and its primary key as JSON, with the values to set where there are some. */
export interface RowToWrite {
  readonly key: unknown;
  readonly row: string;
}

/**
 * What a find has given, one for each row.
 *
 * @throws ShardKeyError for a row that its primary key does not tell from others; UnsupportedStatementError for one that FROM
 * joins with several, which would set different values.
 */
export function rowsToWrite(
  found: readonly (readonly unknown[])[],
  tables: readonly string[],
  sql: string,
): RowToWrite[] {
  const values = new Map<string, unknown>();
  const rows: RowToWrite[] = [];
  for (const [key, incomplete, row, set] of found) {
    if (incomplete === 1) throw incompleteKey(row, tables);
    const primaryKey = String(row);
    if (set === undefined) rows.push({ key, row: primaryKey });
    else if (!values.has(primaryKey)) {
      values.set(primaryKey, set);
      rows.push({ key, row: `[${primaryKey},${String(set)}]` });
    } else if (values.get(primaryKey) !== set) {
      throw new UnsupportedStatementError(
        `FROM gives the row ${primaryKey} several values, of which one database takes any.`,
        {
          tables,
          sql,
          remedy: 'Join so that each row meets one, or take max() or min() of them in a subquery.',
        },
      );
    }
  }
  return rows;
}

export const incompleteKey = (row: unknown, tables: readonly string[]): ShardKeyError =>
  new ShardKeyError(`A row that the statement would write has a null in its shard key or primary key: ${row}.`, {
    tables,
    remedy: 'Write it on its own shard: db.$shard(name).',
  });

/** The writes by primary key that follow a find, for one shard. `rows` are JSON arrays. */
export function writesByPrimaryKey(
  step: TwoPhaseStep,
  params: readonly unknown[],
  rows: readonly string[],
): BoundStatement[] {
  const [before, after] = step.values > 0 ? joined(step) : inCondition(step.primaryKey);
  return joinWithin(rows).map((list) => {
    const writer = new SqlWriter('', []).append(step.head).text(before);
    const { sql, slots } = writer.slot({ kind: 'value', value: list }).text(after).append(step.tail).done();
    return { sql, params: bindTemplate({ sql, slots }, params), givesRows: step.tail.sql.trim() !== '' };
  });
}

function inCondition(primaryKey: readonly string[]): [before: string, after: string] {
  const [before, after] = inRows(primaryKey);
  return [`where ${before}`, after];
}

/** `from (select ...) where id = ...`: the row with its new values. */
function joined({ primaryKey, values, target }: TwoPhaseStep): [before: string, after: string] {
  const keys = primaryKey.map((_, i) => `${valueAt(`$[0][${i}]`)} as "__shard_p${i}"`);
  const set = Array.from({ length: values }, (_, i) => `${valueAt(rowPath('$[1]', i, values))} as "__shard_v${i}"`);
  const same = primaryKey.map((name, i) => `${quoteName(target)}.${quoteName(name)} = "__shard_found"."__shard_p${i}"`);
  return [
    `from (select ${[...keys, ...set].join(', ')} from json_each(`,
    `)) as "__shard_found" where ${same.join(' and ')}`,
  ];
}
