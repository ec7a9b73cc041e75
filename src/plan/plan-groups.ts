import { affinityOf, type Column, sameName } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { columnsIn, selectsIn, unstableIn } from '../sql/functions';
import { MAX_PARAMS, type Template } from '../sql/template';
import { foldName, isOp, isWord, quoteName, type Token } from '../sql/tokens';
import {
  type AggregateCall,
  aggregateCalls,
  explicitCollation,
  isExtreme,
  isInJson,
  isOfValues,
  isText,
  makesJson,
} from './aggregates';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { anchorOf, groupsByKey, isLocalTo } from './locality';
import { collationOf } from './outputs';
import { type PartialColumn, partialsOf, type Replacement } from './partials';
import type { GatherStep, GatherTable } from './plan';
import { type SameValues, sameExpression } from './same-expression';
import { type BoundColumn, type BoundCore, type BoundSelect, resolve, resolveRange } from './scope';
import { GROUPS, groupName, partName, writeFinish, writeGroups } from './write-groups';

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
  const same: SameValues[] = [];
  const plan = (assumed?: SameValues[]) => new GroupPlanner(parsed, bound, core, names, assumed).plan(anchor);
  const sure = plan();
  if (sure || parsed.paramCount < 2) return sure;
  // An expression of GROUP BY that the select list repeats has parameters of its own there: Drizzle writes it so.
  const step = plan(same);
  return step && { ...step, same };
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
    /** Where parameters that are taken to be the same are noted. */
    readonly assumed: SameValues[] | undefined,
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
    if (calls.includes(undefined) || !all.every((call) => this.#isSendable(call))) return undefined;
    const isWhole = (call: AggregateCall) => outer.some(({ from, to }) => from === call.from && to === call.to);
    // The rows of a subquery come in its order, by which texts are meant to be made.
    if (all.some(isText) && this.core.sources.some(({ derived }) => derived)) return undefined;
    const partials = partialsOf(this.parsed.sql, this.#tokens, all, partName, isWhole);
    if (!partials || groups.length + partials.columns.length === 0) return undefined;
    const replaced = outer.map((range) => this.#replace(range, groups, partials.finals));
    const sent = [...groups, ...this.#determined.values()];
    const columns = [
      ...sent.map((range, i) => this.#columnFor(range, groupName(i))),
      ...partials.columns.map((part) => this.#columnOfPart(part)),
    ].flatMap((column) => column ?? []);
    if (columns.length < sent.length + partials.columns.length || replaced.includes(undefined)) return undefined;
    const fetch = writeGroups(this.parsed, this.core, sent, partials, columns);
    const stands = replaced.flatMap((list) => list ?? []);
    const body = writeFinish(this.parsed, this.bound, this.core, this.names, groups.length, stands);
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

  /** It is known how values compare, and nothing asks whether they were JSON. */
  #isSendable(call: AggregateCall): boolean {
    const { name, args } = call;
    if (!call.distinct && !isExtreme(call)) return true;
    if (collationOf(this.core.scope, this.#tokens, args) === undefined) return false;
    const tellsJson = isOfValues(call) ? name === 'json_group_array' : isExtreme(call) && isInJson(this.#tokens, call);
    return !tellsJson || !this.#mayBeJson(args);
  }

  #mayBeJson(range: Range): boolean {
    const isComputed = columnsIn(this.#tokens, range).some(({ path }) => !resolve(this.core.scope, path)?.column);
    return isComputed || makesJson(this.#tokens, range);
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
        collationOf(this.core.scope, this.#tokens, range) !== undefined,
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
    const { scope } = this.core;
    const explicit = explicitCollation(this.#tokens, range) !== '';
    const bound = resolveRange(scope, this.#tokens, explicit ? { ...range, to: range.to - 2 } : range);
    const collation = collationOf(scope, this.#tokens, range);
    if (bound) return bound.column && collation !== undefined ? { ...bound.column, name, collation } : undefined;
    const first = this.#tokens[range.from];
    // In parentheses a column keeps its affinity: that is not followed here.
    if (isOp(first, '(')) return undefined;
    const close = this.#tokens[range.from + 1]?.match;
    if (!isWord(first, 'cast') || close !== range.to - 1) return plainColumn(name);
    const as = this.#tokens.findLastIndex((token, i) => i < close && isWord(token, 'as'));
    const type = this.#tokens.slice(as + 1, close).map(({ text }) => text);
    return { ...plainColumn(name), affinity: affinityOf(type.join(' ')), computed: false };
  }

  #columnOfPart({ name, grouped, like }: PartialColumn): Column | undefined {
    if (!like) return plainColumn(name);
    if (grouped) return this.#columnFor(like, name);
    // What a function gives has no affinity.
    const collation = collationOf(this.core.scope, this.#tokens, like);
    return collation === undefined ? undefined : { ...plainColumn(name), collation };
  }

  /** What stands for what in an expression; undefined when a column is left, of which each group has many values. */
  #replace(range: Range, groups: readonly Range[], finals: readonly Replacement[]): Replacement[] | undefined {
    const found = finals.filter(({ from }) => from >= range.from && from < range.to);
    const columnOf = (path: Range) => resolveRange(this.core.scope, this.#tokens, path);
    const isFree = ({ from, to }: Range) => !found.some((one) => from < one.to && to > one.from);
    for (const [at, group] of groups.entries()) {
      for (let from = range.from; from < range.to; from++) {
        const same = sameExpression(this.#tokens, group, from, range.to, columnOf);
        if (!same || !isFree(same) || !this.#isWhole(same, range)) continue;
        if (same.assumed.length > 0 && !this.assumed) continue;
        this.assumed?.push(...same.assumed);
        if (isInJson(this.#tokens, same) && this.#mayBeJson(group)) return undefined;
        found.push({ from, to: same.to, by: textOf(this.#nameOfGroup(group, at)) });
      }
    }
    for (const { path, qualifier } of columnsIn(this.#tokens, range)) {
      const named = { from: qualifier.from, to: qualifier.to + 1 };
      if (!isFree(named)) continue;
      const column = resolve(this.core.scope, path);
      const at = column ? this.#placeOf(column, named, groups) : -1;
      if (at >= 0) found.push({ ...named, by: textOf(quoteName(groupName(at))) });
      // An alias is one in the finishing statement as well, but not JSON any more.
      else if (column || path.length > 1 || !this.#aliased(path[0] as string)) return undefined;
      else if (isInJson(this.#tokens, named)) return undefined;
    }
    return found;
  }

  /** A COLLATE comes before the collation of a column that it is compared with: it has to be said again. */
  #nameOfGroup(group: Range, at: number): string {
    const collation = explicitCollation(this.#tokens, group);
    return collation === '' ? quoteName(groupName(at)) : `(${quoteName(groupName(at))}${collation})`;
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
}

const textOf = (sql: string): Template => ({ sql, slots: [] });

/** A column without affinity. */
const plainColumn = (name: string): Column => ({
  name,
  affinity: 'blob',
  collation: 'BINARY',
  generated: false,
  unstableDefault: false,
  computed: true,
});

const NO_TABLE = {
  name: GROUPS,
  primaryKey: [],
  uniques: [],
  foreignKeys: [],
  rowidAlias: undefined,
  placement: { kind: 'replicated' },
} as const;
