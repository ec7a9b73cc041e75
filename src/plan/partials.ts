import type { Range } from '../sql/ast';
import { SqlWriter, type Template } from '../sql/template';
import { quoteName, type Token } from '../sql/tokens';
import { type AggregateCall, explicitCollation, isExtreme, isOfValues, isText } from './aggregates';
import { isSameText } from './same-expression';

/** A column that each shard gives for each of its groups. */
export interface PartialColumn {
  readonly name: string;
  readonly expr: Template;
  /** It holds values of this expression: they compare as it does. */
  readonly like: Range | undefined;
  /** The shards give each value once: groups are made by it as well. */
  readonly grouped: boolean;
  /** Which of the SELECTs of a shard gives it; in the others it is null. */
  readonly branch: number;
}

/** What stands in the finishing statement in the place of a range. */
export interface Replacement extends Range {
  readonly by: Template;
}

export interface Partials {
  readonly columns: readonly PartialColumn[];
  /** How many SELECTs a shard runs: their rows are one list of groups. */
  readonly branches: number;
  /** What each call is in the finishing statement. */
  readonly finals: readonly Replacement[];
}

/** D1 takes at most 5 terms in a compound SELECT. */
const MAX_BRANCHES = 5;
const COMPACT = { compact: true };

/** The different values of one expression. */
interface Values {
  readonly call: AggregateCall;
  readonly column: string;
  /** In a row of this branch it is 1: null among the values is one of them there. */
  readonly mark: string | undefined;
}

/**
 * What the shards have to give for these calls, and what is made of it.
 *
 * Groups are made by the values of an aggregate with DISTINCT as well: the parts of those add up as the parts of larger ones
 * do. For the values of several expressions, or where text keeps the order of the rows, each has a SELECT of its own, which
 * gives null for all else: no aggregate counts that.
 *
 * @param isWhole Is the call a whole expression of the statement, and not inside one?
 */
export function partialsOf(
  sql: string,
  tokens: readonly Token[],
  calls: readonly AggregateCall[],
  nameOf: (at: number) => string,
  isWhole: (call: AggregateCall) => boolean,
): Partials | undefined {
  return new PartialWriter(sql, tokens, calls, nameOf, isWhole).partials();
}

class PartialWriter {
  readonly #columns: PartialColumn[] = [];
  readonly #values: Values[] = [];

  constructor(
    readonly sql: string,
    readonly tokens: readonly Token[],
    readonly calls: readonly AggregateCall[],
    readonly nameOf: (at: number) => string,
    readonly isWhole: (call: AggregateCall) => boolean,
  ) {}

  partials(): Partials | undefined {
    const sets: AggregateCall[] = [];
    for (const call of this.calls.filter(isOfValues))
      if (!sets.some((one) => this.#sameValues(one, call))) sets.push(call);
    const plain = this.calls.filter((call) => !isOfValues(call));
    const ownBranch = plain.length > 0 && (sets.length > 1 || plain.some(isText)) ? 1 : 0;
    const branches = Math.max(1, sets.length + (sets.length > 0 ? ownBranch : 0));
    const inArrays = this.calls.filter((call) => isOfValues(call) && call.name === 'json_group_array');
    // Of a null it could not be told whether the FILTER let it through.
    if (branches > MAX_BRANCHES || inArrays.some(({ filter }) => filter)) return undefined;
    for (const [i, call] of sets.entries()) {
      const branch = i + ownBranch;
      const column = this.#add(this.#valueOf(call), { branch, like: call.args, grouped: true });
      const isMarked = branches > 1 && inArrays.some((one) => this.#sameValues(one, call));
      const mark = isMarked ? this.#add(this.#write().text('1').done(), { branch }) : undefined;
      this.#values.push({ call, column, mark });
    }
    const finals = this.calls.map((call): Replacement => {
      const by = isOfValues(call) ? this.#finishValues(call) : isText(call) ? this.#text(call) : this.#number(call);
      return { from: call.from, to: call.to, by };
    });
    return { columns: this.#columns, branches, finals };
  }

  #write(): SqlWriter {
    return new SqlWriter(this.sql, this.tokens);
  }

  #add(expr: Template, { branch = 0, grouped = false, like }: Partial<PartialColumn> = {}): string {
    const name = this.nameOf(this.#columns.length);
    this.#columns.push({ name, expr, like, grouped, branch });
    return quoteName(name);
  }

  #sameValues(a: AggregateCall, b: AggregateCall): boolean {
    const isSame = (left: Range | undefined, right: Range | undefined) =>
      left && right ? isSameText(this.tokens, left, right) : left === right;
    return isSame(a.args, b.args) && isSame(a.filter, b.filter);
  }

  /** What the FILTER leaves out is null: that is none of the values that are counted. */
  #valueOf({ args, filter }: AggregateCall): Template {
    if (!filter) return this.#write().copy(args, COMPACT).done();
    const condition = { from: filter.from + 3, to: filter.to - 1 };
    return this.#write()
      .text('case when ')
      .copy(condition, COMPACT)
      .text(' then ')
      .copy(args, COMPACT)
      .text(' end')
      .done();
  }

  #finishValues(call: AggregateCall): Template {
    const { column, mark } = this.#values.find((one) => this.#sameValues(one.call, call)) as Values;
    const collation = explicitCollation(this.tokens, call.args);
    const filter = mark && call.name === 'json_group_array' ? ` filter (where ${mark})` : '';
    return this.#write().text(`${call.name}(distinct ${column}${collation})${filter}`).done();
  }

  /** `fn(arguments) filter (...)`, as a shard computes it. */
  #call(fn: string, { args, separator, filter }: AggregateCall): Template {
    const writer = this.#write().text(`${fn}(`).copy(args, COMPACT);
    if (separator) writer.text(', ').copy(separator, COMPACT);
    writer.text(')');
    return (filter ? writer.text(' ').copy(filter, COMPACT) : writer).done();
  }

  #number(call: AggregateCall): Template {
    const { name, args } = call;
    const like = isExtreme(call) ? args : undefined;
    const part = (fn: string) => this.#add(fn === 'sum' ? this.#sum(call) : this.#call(fn, call), { like });
    const text = (sql: string) => this.#write().text(sql).done();
    // Integers stay integers until the end: a sum of the sums, and not of numbers that were rounded.
    if (name === 'avg') return text(`(total(${part('sum')}) / sum(${part('count')}))`);
    // No shard has a group where groups are made by values, and there are none.
    if (name === 'count') return text(`coalesce(sum(${part('count')}), 0)`);
    const collation = like ? explicitCollation(this.tokens, args) : '';
    return text(`${name}(${part(name === 'total' ? 'sum' : name)}${collation})`);
  }

  /** Infinities of both signs have no sum: the null would be taken for that of no values. It overflows instead. */
  #sum(call: AggregateCall): Template {
    const writer = this.#write().text('coalesce(').append(this.#call('sum', call));
    writer.text(', nullif(abs(-9223372036854775807 - (').append(this.#call('count', call));
    return writer.text(' > 0)), 9223372036854775807))').done();
  }

  #text(call: AggregateCall): Template {
    const { name } = call;
    if (!name.startsWith('json')) return this.#joined(call);
    const part = this.#add(this.#call(name, call));
    const [open, close] = name === 'json_group_array' ? '[]' : '{}';
    const inner = `nullif(substr(${part}, 2, length(${part}) - 2), '')`;
    const joined = `('${open}' || coalesce(group_concat(${inner}, ','), '') || '${close}')`;
    // Text would be put into JSON as a string.
    return this.#write()
      .text(this.isWhole(call) ? joined : `json${joined}`)
      .done();
  }

  /** Texts that are joined; null where there are none, so that it is not taken for an empty one. */
  #joined(call: AggregateCall): Template {
    const { args, separator } = call;
    const all = this.#call('group_concat', call);
    // The bytes of a blob may be no text: they travel as bytes.
    const writer = this.#write().text('case when sum(typeof(').copy(args, COMPACT).text(`) = 'blob') > 0`);
    const isLiteral =
      separator && separator.to - separator.from === 1 && this.tokens[separator.from]?.kind === 'string';
    if (separator && !isLiteral) writer.text(' or typeof(').copy(separator, COMPACT).text(`) = 'blob'`);
    const part = this.#add(
      writer.text(' then cast(').append(all).text(' as blob) else ').append(all).text(' end').done(),
    );
    const final = this.#write().text(`group_concat(cast(${part} as text)`);
    return (separator ? final.text(', ').copy(separator) : final).text(')').done();
  }
}
