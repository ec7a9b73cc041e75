import { affinityOf, type Column, sameName } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { columnsIn, selectsIn, unstableIn } from '../sql/functions';
import { jsonOf } from '../sql/json-values';
import { MAX_PARAMS, SqlWriter, type Template } from '../sql/template';
import { foldName, isOp, isWord, quoteName, type Token } from '../sql/tokens';
import {
  type AggregateCall,
  aggregateCalls,
  isSameText,
  type PartialColumn,
  partialsOf,
  type Replacement,
} from './aggregates';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { anchorOf, groupsByKey, isLocalTo } from './locality';
import { collationOf } from './outputs';
import type { GatherStep, GatherTable } from './plan';
import { type BoundColumn, type BoundCore, type BoundSelect, resolve, resolveRange } from './scope';
import { COLUMNS_PER_ARRAY, strayTypes } from './write-fetch';

/** The groups of all shards: no user's table or column is called so. */
const GROUPS = '__shard_groups';
const groupName = (at: number): string => `__shard_group_${at}`;
const partName = (at: number): string => `__shard_part_${at}`;

const COMPACT = { compact: true };

/**
 * Plans a select with aggregates, or DISTINCT, whose groups may have rows on several shards: each shard sends its groups with
 * partial aggregates, and SQLite on one finishes the statement over these, with a column in the place of each expression of
 * GROUP BY, and the sum of the counts in the place of a count. Undefined when something in it is not plain to see; then rows
 * are fetched.
 *
 * @param names The names of the result columns.
 */
export function planGroups(
  parsed: Parsed,
  bound: BoundSelect,
  binder: Binder,
  names: readonly string[] | undefined,
): GatherStep | undefined {
  const [core] = bound.cores;
  if (!core || !names || bound.cores.length > 1 || bound.select.ctes.length > 0) return undefined;
  if (!(core.aggregate || core.core.distinct) || core.windows || core.core.values.length > 0) return undefined;
  const anchor = anchorOf(core, parsed.tokens);
  if (!anchor || !isLocalTo(anchor, binder) || groupsByKey(core, anchor, parsed.tokens)) return undefined;
  return new GroupPlanner(parsed, bound, core, names).plan(anchor);
}

class GroupPlanner {
  readonly #tokens: readonly Token[];
  /** Columns that have one value in each group although GROUP BY does not name them, with a place where they stand. */
  readonly #determined = new Map<BoundColumn, Range>();

  constructor(
    readonly parsed: Parsed,
    readonly bound: BoundSelect,
    readonly core: BoundCore,
    readonly names: readonly string[],
  ) {
    this.#tokens = parsed.tokens;
  }

  plan(anchor: KeyClass): GatherStep | undefined {
    const outer = this.#outer();
    const groups = this.#groups();
    if (!groups || [...outer, ...groups].some((range) => !this.#isPlain(range))) return undefined;
    if (groups.some((range) => aggregateCalls(this.#tokens, range)?.length !== 0)) return undefined;
    const calls = outer.map((range) => aggregateCalls(this.#tokens, range));
    const all = calls.flatMap((list) => list ?? []);
    if (calls.includes(undefined) || all.some((call) => !this.#isComparable(call))) return undefined;
    const partials = partialsOf(this.parsed.sql, this.#tokens, all, partName);
    if (!partials || groups.length + partials.columns.length === 0) return undefined;
    const replaced = outer.map((range) => this.#replace(range, groups, partials.finals));
    const sent = [...groups, ...this.#determined.values()];
    const columns = [
      ...sent.map((range, i) => this.#columnFor(range, groupName(i))),
      ...partials.columns.map(({ name, values }) => (values ? this.#columnFor(values, name) : columnOf(name))),
    ].flatMap((column) => column ?? []);
    if (columns.length < sent.length + partials.columns.length || replaced.includes(undefined)) return undefined;
    const fetch = this.#fetch(sent, partials.columns, columns);
    const body = this.#finish(
      groups.length,
      replaced.flatMap((list) => list ?? []),
    );
    // The groups are bound besides, a few values.
    if (fetch.slots.length > MAX_PARAMS || body.slots.length > MAX_PARAMS / 2) return undefined;
    const table: GatherTable = {
      table: { ...NO_TABLE, columns },
      name: GROUPS,
      columns,
      fetch,
      filtered: false,
      key: undefined,
      links: [],
      gives: 0,
      top: undefined,
      reaches: [{ kind: 'keys', keyspace: anchor.keyspace, keys: anchor.keySet() }],
    };
    return { tables: [table], head: { sql: '', slots: [] }, body, hasWith: false, renamed: false };
  }

  /** What is computed of groups: result columns, HAVING, and ORDER BY but for those terms that name result columns. */
  #outer(): Range[] {
    const { columns, having } = this.core.core;
    const orderBy = this.bound.select.orderBy.flatMap(({ expr, collation }) => {
      const whole = { from: expr.from, to: collation === undefined ? expr.to : expr.to - 2 };
      const isAlias = whole.to - whole.from === 1 && this.#aliased(this.#tokens[whole.from]?.value ?? '') !== undefined;
      return isAlias ? [] : [expr];
    });
    return [...columns.map(({ expr }) => expr), ...(having ? [having] : []), ...orderBy];
  }

  #aliased(name: string) {
    return this.core.core.columns.find(({ alias }) => alias !== undefined && foldName(alias) === foldName(name));
  }

  /** It says the same on every shard and in every query. */
  #isPlain(range: Range): boolean {
    return selectsIn(this.#tokens, range).length === 0 && unstableIn(this.#tokens, range) === undefined;
  }

  /** Values that are compared have to look alike where they are equal. */
  #isComparable({ name, args, distinct }: AggregateCall): boolean {
    const isCompared = distinct || name === 'min' || name === 'max';
    return !isCompared || collationOf(this.core.scope, this.#tokens, args) === 'BINARY';
  }

  /** The expressions of GROUP BY: a position, or an alias that no column has, is a result column. Without any: of DISTINCT. */
  #groups(): Range[] | undefined {
    const { columns, groupBy } = this.core.core;
    const ranges = this.core.aggregate
      ? groupBy.map((term) => this.#grouped(term))
      : columns.map(({ expr }): Range | undefined => expr);
    const areKnown = ranges.every(
      (range) =>
        range &&
        columnsIn(this.#tokens, range).every(({ path }) => resolve(this.core.scope, path)) &&
        collationOf(this.core.scope, this.#tokens, range) === 'BINARY',
    );
    return areKnown ? (ranges as Range[]) : undefined;
  }

  #grouped(term: Range): Range | undefined {
    const token = this.#tokens[term.from];
    if (term.to - term.from > 1 || !token) return term;
    if (token.kind === 'number') return this.core.core.columns[Number(token.value) - 1]?.expr;
    if (resolveRange(this.core.scope, this.#tokens, term)) return term;
    return this.#aliased(token.value)?.expr ?? term;
  }

  /** A column that holds the values of an expression, with the affinity by which SQLite compares these. */
  #columnFor(range: Range, name: string): Column | undefined {
    const bound = resolveRange(this.core.scope, this.#tokens, range);
    if (bound) return bound.column && { ...bound.column, name };
    const first = this.#tokens[range.from];
    // In parentheses a column keeps its affinity: that is not followed here.
    if (isOp(first, '(')) return undefined;
    const close = this.#tokens[range.from + 1]?.match;
    if (!isWord(first, 'cast') || close !== range.to - 1) return columnOf(name);
    const as = this.#tokens.findLastIndex((token, i) => i < close && isWord(token, 'as'));
    const type = this.#tokens.slice(as + 1, close).map(({ text }) => text);
    return { ...columnOf(name), affinity: affinityOf(type.join(' ')) };
  }

  /** What stands for what in an expression; undefined when a column is left, of which each group has many values. */
  #replace(range: Range, groups: readonly Range[], finals: readonly Replacement[]): Replacement[] | undefined {
    const found = finals.filter(({ from }) => from >= range.from && from < range.to);
    const isFree = ({ from, to }: Range) => !found.some((one) => from < one.to && to > one.from);
    for (const [at, group] of groups.entries()) {
      for (let from = range.from; from <= range.to - (group.to - group.from); from++) {
        const same = { from, to: from + group.to - group.from };
        if (isFree(same) && isSameText(this.#tokens, group, same) && this.#isWhole(same, range)) {
          found.push({ ...same, text: quoteName(groupName(at)) });
        }
      }
    }
    for (const { path, qualifier } of columnsIn(this.#tokens, range)) {
      const named = { from: qualifier.from, to: qualifier.to + 1 };
      if (!isFree(named)) continue;
      const column = resolve(this.core.scope, path);
      const at = column ? this.#placeOf(column, named, groups) : -1;
      if (at >= 0) found.push({ ...named, text: quoteName(groupName(at)) });
      // An alias is one in the finishing statement as well.
      else if (column || path.length > 1 || !this.#aliased(path[0] as string)) return undefined;
    }
    return found;
  }

  /** Which column of the groups a column is; -1 when each group has many values of it. */
  #placeOf(column: BoundColumn, named: Range, groups: readonly Range[]): number {
    const grouped = groups.map((group) => resolveRange(this.core.scope, this.#tokens, group));
    const at = grouped.indexOf(column);
    if (at >= 0) return at;
    const { ref } = column;
    // A row is one by its primary key: `group by countries.code` has one `countries.name`.
    const isOne =
      ref &&
      ref.table.primaryKey.length > 0 &&
      ref.table.primaryKey.every((key) =>
        grouped.some((one) => one?.ref === ref && one.column !== undefined && sameName(one.column.name, key)),
      );
    if (!isOne) return -1;
    if (!this.#determined.has(column)) this.#determined.set(column, named);
    return groups.length + [...this.#determined.keys()].indexOf(column);
  }

  /** A call, or nothing beside it binds tighter: in `a + b * c` there is no `a + b`. */
  #isWhole({ from, to }: Range, outer: Range): boolean {
    if (isOp(this.#tokens[from + 1], '(') && this.#tokens[from + 1]?.match === to - 1) return true;
    const [before, after] = [this.#tokens[from - 1], this.#tokens[to]];
    const begins = from === outer.from || isOp(before, '(') || isOp(before, ',');
    return begins && (to === outer.to || isOp(after, ')') || isOp(after, ','));
  }

  /** The groups of one shard, as JSON. */
  #fetch(groups: readonly Range[], parts: readonly PartialColumn[], columns: readonly Column[]): Template {
    const writer = new SqlWriter(this.parsed.sql, this.#tokens);
    const unusual = columns.map((column) => `typeof(${quoteName(column.name)}) in (${strayTypes(column)})`);
    writer.text(`select 1 in (${unusual.join(', ')}) as "x"`);
    for (let i = 0; i < columns.length; i += COLUMNS_PER_ARRAY) {
      const values = columns.slice(i, i + COLUMNS_PER_ARRAY).map(({ name }) => jsonOf(quoteName(name)));
      writer.text(`, json_array(${values.join(', ')}) as "r${i / COLUMNS_PER_ARRAY}"`);
    }
    writer.text(' from (select ');
    for (const [i, range] of groups.entries()) {
      writer
        .text(i === 0 ? '' : ', ')
        .copy(range, COMPACT)
        .text(` as ${quoteName(groupName(i))}`);
    }
    for (const [i, { expr, name }] of parts.entries()) {
      writer
        .text(i + groups.length === 0 ? '' : ', ')
        .append(expr)
        .text(` as ${quoteName(name)}`);
    }
    writer.text(' ').copy(this.#fromClause(), COMPACT);
    const by = [...groups.map((_, i) => groupName(i)), ...parts.filter(({ values }) => values).map(({ name }) => name)];
    return writer.text(by.length > 0 ? ` group by ${by.map(quoteName).join(', ')})` : ')').done();
  }

  /** From FROM to the end of WHERE. */
  #fromClause(): Range {
    const { columnsEnd: from, groupBy, having, range } = this.core.core;
    const [first] = groupBy;
    if (first) return { from, to: first.from - 2 };
    return { from, to: having ? having.from - 1 : range.to };
  }

  #finish(groupCount: number, replaced: readonly Replacement[]): Template {
    const { columns, having, distinct } = this.core.core;
    const { orderBy, limitClause } = this.bound.select;
    const writer = new SqlWriter(this.parsed.sql, this.#tokens);
    writer.text(distinct ? 'select distinct ' : 'select ');
    for (const [i, { expr }] of columns.entries()) {
      this.#copy(writer.text(i === 0 ? '' : ', '), expr, replaced).text(` as ${quoteName(this.names[i] as string)}`);
    }
    writer.text(` from ${quoteName(GROUPS)}`);
    if (this.core.aggregate && groupCount > 0) {
      const by = Array.from({ length: groupCount }, (_, i) => quoteName(groupName(i)));
      writer.text(` group by ${by.join(', ')}`);
    }
    if (having) this.#copy(writer.text(' having '), having, replaced);
    for (const [i, { expr, descending, nulls }] of orderBy.entries()) {
      this.#copy(writer.text(i === 0 ? ' order by ' : ', '), expr, replaced);
      writer.text(`${descending ? ' desc' : ''}${nulls ? ` nulls ${nulls}` : ''}`);
    }
    return limitClause ? writer.text(' ').copy(limitClause).done() : writer.done();
  }

  /** Source text with what stands for parts of it. */
  #copy(writer: SqlWriter, range: Range, replaced: readonly Replacement[]): SqlWriter {
    for (let i = range.from; i < range.to; i++) {
      const one = replaced.find(({ from }) => from === i);
      if (i > range.from) writer.text(' ');
      if (one) {
        writer.text(one.text);
        i = one.to - 1;
      } else writer.copy({ from: i, to: i + 1 });
    }
    return writer;
  }
}

/** A column without affinity. */
const columnOf = (name: string): Column => ({
  name,
  affinity: 'blob',
  collation: 'BINARY',
  generated: false,
  unstableDefault: false,
});

const NO_TABLE = {
  name: GROUPS,
  primaryKey: [],
  uniques: [],
  foreignKeys: [],
  rowidAlias: undefined,
  placement: { kind: 'replicated' },
} as const;
