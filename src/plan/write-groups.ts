import type { Column } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { SqlWriter, type Template } from '../sql/template';
import { quoteName } from '../sql/tokens';
import type { Partials, Replacement } from './partials';
import type { BoundCore, BoundSelect } from './scope';
import { rowsAsJson } from './write-fetch';

/** The groups of all shards: no user's table or column is called so. */
export const GROUPS = '__shard_groups';
export const groupName = (at: number): string => `__shard_group_${at}`;
export const partName = (at: number): string => `__shard_part_${at}`;

const COMPACT = { compact: true };

/** The groups of one shard, as JSON. */
export function writeGroups(
  { sql, tokens }: Parsed,
  core: BoundCore,
  groups: readonly Range[],
  partials: Partials,
  columns: readonly Column[],
): Template {
  const writer = new SqlWriter(sql, tokens).text(`select ${rowsAsJson(columns)} from (`);
  for (let branch = 0; branch < partials.branches; branch++) {
    writer.text(branch === 0 ? 'select ' : ' union all select ');
    for (const [i, range] of groups.entries()) {
      writer
        .text(i === 0 ? '' : ', ')
        .copy(range, COMPACT)
        .text(` as ${quoteName(groupName(i))}`);
    }
    for (const [i, part] of partials.columns.entries()) {
      writer.text(i + groups.length === 0 ? '' : ', ');
      (part.branch === branch ? writer.append(part.expr) : writer.text('null')).text(` as ${quoteName(part.name)}`);
    }
    writer.text(' ').copy(fromClause(core), COMPACT);
    const values = partials.columns.filter((part) => part.grouped && part.branch === branch);
    const by = [...groups.map((_, i) => groupName(i)), ...values.map(({ name }) => name)];
    if (by.length > 0) writer.text(` group by ${by.map(quoteName).join(', ')}`);
  }
  return writer.text(')').done();
}

/** From FROM to the end of WHERE. */
function fromClause({ core }: BoundCore): Range {
  const { columnsEnd: from, groupBy, having, range } = core;
  const [first] = groupBy;
  if (first) return { from, to: first.from - 2 };
  return { from, to: having ? having.from - 1 : range.to };
}

/** The statement over the groups. */
export function writeFinish(
  { sql, tokens }: Parsed,
  bound: BoundSelect,
  { core, aggregate }: BoundCore,
  names: readonly string[],
  groupCount: number,
  replaced: readonly Replacement[],
): Template {
  const { columns, having, distinct } = core;
  const { orderBy, limitClause } = bound.select;
  const writer = new SqlWriter(sql, tokens);
  writer.text(distinct ? 'select distinct ' : 'select ');
  for (const [i, { expr }] of columns.entries()) {
    copyReplaced(writer.text(i === 0 ? '' : ', '), expr, replaced).text(` as ${quoteName(names[i] as string)}`);
  }
  writer.text(` from ${quoteName(GROUPS)}`);
  if (aggregate && groupCount > 0) {
    const by = Array.from({ length: groupCount }, (_, i) => quoteName(groupName(i)));
    writer.text(` group by ${by.join(', ')}`);
  }
  if (having) copyReplaced(writer.text(' having '), having, replaced);
  for (const [i, { expr, descending, nulls }] of orderBy.entries()) {
    copyReplaced(writer.text(i === 0 ? ' order by ' : ', '), expr, replaced);
    writer.text(`${descending ? ' desc' : ''}${nulls ? ` nulls ${nulls}` : ''}`);
  }
  return limitClause ? writer.text(' ').copy(limitClause).done() : writer.done();
}

/** Source text with what stands for parts of it. */
function copyReplaced(writer: SqlWriter, range: Range, replaced: readonly Replacement[]): SqlWriter {
  for (let i = range.from; i < range.to; i++) {
    const one = replaced.find(({ from }) => from === i);
    if (i > range.from) writer.text(' ');
    if (one) {
      writer.append(one.by);
      i = one.to - 1;
    } else writer.copy({ from: i, to: i + 1 });
  }
  return writer;
}
