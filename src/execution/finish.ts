import type { Column } from '../layout/table';
import { positionalSelect } from '../plan/positional';
import { COLUMNS_PER_ARRAY } from '../plan/write-fetch';
import type { BoundStatement } from '../sql/bound';
import { unionOf, valueAt } from '../sql/json-values';
import { quoteName } from '../sql/tokens';
import type { GatherRoute } from './route';

/** The rows of one table as pieces of JSON arrays, each short enough to be bound. */
export interface Gathered {
  readonly chunks: readonly string[];
  /** Some value is of a type that its column's affinity does not convert to: it has to be carried as it is. */
  readonly exact: boolean;
}

/** `with "users"("id", ...) as materialized (select ... from json_each(?))` before the untouched statement. */
export function finishingStatement(route: GatherRoute, gathered: readonly Gathered[]): BoundStatement {
  const params: unknown[] = [];
  const ctes = route.fetches.map(({ table }, i) => {
    const { chunks, exact } = gathered[i] as Gathered;
    params.push(...chunks);
    const names = table.columns.map((column) => quoteName(column.name));
    const values = table.columns.map((column, at) => decode(column, at, table.columns.length, exact));
    const source = unionOf(
      chunks.map(() => 'select value from json_each(?)'),
      'value',
    );
    return `${quoteName(table.name)}(${names.join(', ')}) as materialized (select ${values.join(', ')} from (${source}))`;
  });
  const lead = route.hasWith ? `${route.head.sql} ${ctes.join(', ')}, ` : `with ${ctes.join(', ')} `;
  const sql = lead + route.body.sql;
  return {
    sql: route.renames ? positionalSelect(sql, route.renames.count) : sql,
    params: [...route.head.params, ...params, ...route.body.params],
  };
}

const CASTS = { integer: 'numeric', numeric: 'numeric', real: 'real', text: 'text', blob: 'blob' } as const;

/**
 * The expression that turns the JSON value of a column back into what was stored, with the column's affinity and collation.
 *
 * CAST gives the affinity, and changes nothing in a value of the column's own type. Where other types may occur, a scalar
 * subquery gives it: SQLite takes the affinity of its last arm, while its only row comes from the first.
 */
function decode(column: Column, at: number, count: number, exact: boolean): string {
  const path =
    count <= COLUMNS_PER_ARRAY ? `[${at}]` : `[${Math.floor(at / COLUMNS_PER_ARRAY)}][${at % COLUMNS_PER_ARRAY}]`;
  const value = exact ? valueAt(`$${path}`) : `value->>'$${path}'`;
  const collate = column.collation === 'BINARY' ? '' : ` collate ${quoteName(column.collation)}`;
  if (column.computed) return value + collate;
  const type = CASTS[column.affinity];
  // CAST makes blobs of texts. Without the affinity BLOB, a text column that is compared with it would make it a text.
  const typed =
    exact || type === 'blob'
      ? `(select ${value} union all select cast(null as ${type}) where 0)`
      : `cast(${value} as ${type})`;
  return typed + collate;
}
