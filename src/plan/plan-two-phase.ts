import { sameName } from '../layout/table';
import type { Modification, Parsed, Range } from '../sql/ast';
import { selectsIn } from '../sql/functions';
import { jsonRow } from '../sql/json-values';
import { beginsSelect } from '../sql/parse-select';
import { splitCommas } from '../sql/reader';
import { SqlWriter } from '../sql/template';
import { isOp, isWord, quoteName } from '../sql/tokens';
import type { TwoPhaseStep } from './plan';
import { type returningOutput, writeReturning } from './positional';
import type { TableRef } from './scope';

/**
 * The primary keys of the rows first, wherever they are found; then the write by primary key on each shard.
 *
 * @param sets The values to set are found along with the rows: they read what is elsewhere, or differ each time.
 */
export function planTwoPhase(
  parsed: Parsed,
  statement: Modification,
  target: TableRef,
  output: ReturnType<typeof returningOutput>,
  sets: boolean,
): TwoPhaseStep | undefined {
  const { table } = target;
  if (table.primaryKey.length === 0) return undefined;
  const { whereClause, returningRange, tail, range, ctes } = statement;
  const { tokens, sql } = parsed;
  const end = new SqlWriter(sql, tokens).text(' ');
  if (output.positional) writeReturning(end, output.returning);
  else if (returningRange) end.copy(returningRange);
  const base = { primaryKey: table.primaryKey, target: target.alias, tail: end.done() };
  const head = new SqlWriter(sql, tokens);
  if (!sets) {
    const bodyEnd = (whereClause ?? returningRange ?? tail)?.from ?? range.to;
    head.copy({ from: range.from, to: bodyEnd }).text(' ');
    return { ...base, find: writeFind(parsed, statement, target, []), values: 0, head: head.done() };
  }
  const assigned = assignedColumns(parsed, statement);
  // The WITH stays with the rows that are found, so that RETURNING cannot name what is in it.
  if (!assigned || (ctes.length > 0 && returningRange && selectsIn(tokens, returningRange).length > 0))
    return undefined;
  const setAt = tokens.findIndex((token, i) => i > statement.verb && isWord(token, 'set'));
  head.copy({ from: statement.verb, to: setAt + 1 });
  const setTo = assigned.map(([name], i) => `${quoteName(name)} = "__shard_found"."__shard_v${i}"`);
  head.text(` ${setTo.join(', ')} `);
  const values = assigned.map(([, value]) => value);
  return { ...base, find: writeFind(parsed, statement, target, values), values: values.length, head: head.done() };
}

/** Each column that SET names, and what it becomes; undefined where one subquery gives the values of several. */
function assignedColumns({ tokens }: Parsed, { set }: Modification): [name: string, value: Range][] | undefined {
  const assigned: [string, Range][] = [];
  for (const { columns, value } of set) {
    const [only] = columns;
    if (columns.length === 1 && only !== undefined) {
      assigned.push([only, value]);
      continue;
    }
    const inside = { from: value.from + 1, to: value.to - 1 };
    const isRow = isOp(tokens[value.from], '(') && tokens[value.from]?.match === inside.to;
    const list = isRow && !beginsSelect(tokens[inside.from]) ? splitCommas(tokens, inside) : [];
    if (list.length !== columns.length) return undefined;
    for (const [i, name] of columns.entries()) assigned.push([name, list[i] as Range]);
  }
  return assigned;
}

function writeFind(parsed: Parsed, statement: Modification, target: TableRef, values: readonly Range[]) {
  const { table } = target;
  const { placement } = table;
  const { sql, tokens } = parsed;
  const { range, ctes, from, fromRange, whereClause, tail } = statement;
  const column = (name: string) => `${quoteName(target.alias)}.${quoteName(name)}`;
  const writer = new SqlWriter(sql, tokens).copy({ from: range.from, to: statement.verb });
  const keyText = (name: string) => (placement.kind === 'sharded' ? `cast(${name} as text)` : 'null');
  const key = placement.kind === 'sharded' ? column(placement.key.name) : 'null';
  const writeFrom = () => {
    // A CTE may have the table's name, and a write never means it.
    const schema = ctes.some((cte) => sameName(cte.name, table.name)) ? 'main.' : '';
    writer.text(` from ${schema}${quoteName(table.name)} as ${quoteName(target.alias)}`);
    // As SQLite reads it: what stands in FROM is joined first.
    if (fromRange && from.length > 1) writer.text(', (').copy(fromRange).text('\n)');
    else if (fromRange) writer.text(', ').copy(fromRange);
    writer.text(' ');
    if (whereClause) writer.copy(whereClause);
    if (tail) writer.text(' ').copy(tail);
  };
  const outputs = (keyName: string, primaryKey: readonly string[]) =>
    `select ${keyText(keyName)} as "__shard_key", ${primaryKey.map((name) => `${name} is null`).join(' or ')} as "__shard_incomplete", ${jsonRow(primaryKey)} as "__shard_row"`;
  if (values.length === 0) {
    writer.text(` ${outputs(key, table.primaryKey.map(column))}`);
    writeFrom();
    return writer.done();
  }
  const primaryKey = table.primaryKey.map((_, i) => `"__shard_p${i}"`);
  const names = values.map((_, i) => `"__shard_v${i}"`);
  // Materialized, so that what is different each time is worked out once. The line ends a comment.
  writer.text(
    `${ctes.length > 0 ? ', ' : 'with '}"__shard_found"(${['"__shard_k"', ...primaryKey, ...names].join(', ')})`,
  );
  writer.text(` as materialized (select ${[key, ...table.primaryKey.map(column)].join(', ')}`);
  for (const value of values) writer.text(', ').copy(value);
  writeFrom();
  writer.text(`\n) ${outputs('"__shard_k"', primaryKey)}, ${jsonRow(names)} as "__shard_values" from "__shard_found"`);
  return writer.done();
}
