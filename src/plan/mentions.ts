import type { Column, Table } from '../layout/table';
import type { Range } from '../sql/ast';
import { readLeaf, readValue, unwrap } from '../sql/conditions';
import { columnsIn, functionsIn, inTables, selectsIn, unstableIn } from '../sql/functions';
import { isOp, isWord, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import { orderTerms, type Term } from './order';
import { type BoundColumn, type BoundCore, type BoundSelect, resolve, resolveRange, type TableRef } from './scope';

/** Rows of a mention matter only if this column has a value that `otherColumn` has in some row of the other one. */
export interface Link {
  readonly column: Column;
  readonly other: TableRef;
  readonly otherColumn: Column;
}

/** One place where a statement names a table, and what it says of the rows that matter there. */
export interface Mention {
  readonly table: Table;
  /** More than one where the table is named in a CTE that is used more than once. */
  readonly refs: readonly [TableRef, ...TableRef[]];
  /** Conditions on its columns alone. */
  readonly filters: readonly Range[];
  readonly links: readonly Link[];
  /** The same where the other one is on every shard: the shards themselves can look there. */
  readonly lookups: readonly Lookup[];
  readonly top: Top | undefined;
}

export interface Lookup extends Link {
  /** Conditions on the other one alone. */
  readonly filters: readonly Range[];
  readonly lookups: readonly Lookup[];
}

/** The mention makes the rows of a SELECT with this LIMIT, one or more of each of its own: only the first ones matter. */
export interface Top {
  readonly select: BoundSelect;
  readonly terms: readonly Term[];
  /**
   * Not all of its rows need make one, as other rows have to be joined: if the first ones do not fill the page, more are
   * needed. Only of the outermost SELECT, where that shows.
   */
  readonly hopeful: boolean;
}

/** The mentions of tables whose rows are not on every shard, in the order of the statement. */
export function mentionsOf(binder: Binder): Mention[] {
  const byPlace = new Map<number, [TableRef, ...TableRef[]]>();
  for (const ref of binder.refs) {
    if (ref.table.placement.kind === 'replicated') continue;
    const same = byPlace.get(ref.source.nameAt);
    if (same) same.push(ref);
    else byPlace.set(ref.source.nameAt, [ref]);
  }
  const links = linksOf(binder);
  return [...byPlace.values()].map((refs) => {
    const [ref] = refs;
    const all = links.get(ref) ?? [];
    const lookups = all
      .filter(isLookup)
      .map((link): Lookup => ({ ...link, filters: filtersOf(link.other, binder.tokens), lookups: [] }));
    return {
      table: ref.table,
      refs,
      filters: filtersOf(ref, binder.tokens),
      links: all.filter((link) => !isLookup(link)),
      lookups: lookups.filter(({ filters }) => filters.length > 0),
      top: topOf(ref, binder),
    };
  });
}

const isLookup = ({ other }: Link): boolean => other.table.placement.kind === 'replicated';

/**
 * The conditions that every row of a mention must meet which matters: those of WHERE, unless the table is the right side of an
 * outer join; then those of that join's ON.
 */
function termsOf(ref: TableRef): readonly Range[] {
  const { core } = ref;
  if (!ref.nullable) return core.conjuncts;
  if (core.hasRightJoin || core.core.opaqueFrom) return [];
  return [...core.outerConjuncts].find(([source]) => source.ref === ref)?.[1] ?? [];
}

/** Of these conditions those on this mention of the table alone. */
const filtersOf = (ref: TableRef, tokens: readonly Token[]): Range[] =>
  termsOf(ref).filter((range) => isAbout(ref, tokens, range));

function isAbout(ref: TableRef, tokens: readonly Token[], range: Range): boolean {
  const { aggregates, window } = functionsIn(tokens, range);
  if (aggregates.length > 0 || window || selectsIn(tokens, range).length > 0 || unstableIn(tokens, range)) return false;
  // `x in t` reads all rows of t, and t may be called like a column.
  if (inTables(tokens, range).length > 0) return false;
  const columns = columnsIn(tokens, range);
  return columns.length > 0 && columns.every(({ path }) => resolve(ref.core.scope, path)?.ref === ref);
}

/** What says of each mention that its rows have to meet those of another one. */
function linksOf(binder: Binder): Map<TableRef, Link[]> {
  const links = new Map<TableRef, Link[]>();
  const add = (own: BoundColumn | undefined, other: BoundColumn | undefined) => {
    if (!own?.ref || !own.column || !other?.ref || !other.column || own.ref === other.ref) return;
    // As SQLite compares them with each other, it compares a column with the values of the other one in a list.
    const { affinity, collation } = own.column;
    if (affinity !== other.column.affinity || collation !== other.column.collation) return;
    const list = links.get(own.ref) ?? [];
    links.set(own.ref, [...list, { column: own.column, other: other.ref, otherColumn: other.column }]);
  };
  for (const ref of binder.refs) {
    for (const range of termsOf(ref)) readLink(range, ref, binder, add);
  }
  return links;
}

type AddLink = (own: BoundColumn | undefined, other: BoundColumn | undefined) => void;

function readLink(whole: Range, ref: TableRef, binder: Binder, add: AddLink): void {
  const { tokens } = binder;
  const range = unwrap(tokens, whole);
  const leaf = readLeaf(tokens, range);
  const column = (at: Range, core: BoundCore = ref.core) => resolveRange(core.scope, tokens, at);
  const addFor = (left: BoundColumn | undefined, right: BoundColumn | undefined) => {
    if (left?.ref === ref) add(left, right);
    if (right?.ref === ref) add(right, left);
  };
  if (leaf?.kind === 'columns') addFor(column(leaf.left), column(leaf.right));
  else if (leaf?.kind === 'in-select') {
    const own = column(leaf.column);
    const inner = binder.subquery(leaf.select.from);
    const [selected, ...more] = inner?.columns ?? [];
    if (own?.ref !== ref || !inner || !selected || more.length > 0) return;
    add(own, selected);
    // Values that no outer row has change nothing of what is in the list and what is not.
    const isFree =
      !selected.ref?.nullable && selected.ref?.core === inner.cores[0] && isUncut(inner) && !binder.entangled;
    if (isFree) add(selected, own);
  } else if (isExists(tokens, range)) {
    const [core, ...others] = binder.subquery(range.from + 2)?.cores ?? [];
    // An aggregate gives a row of no rows; where one is written in a subquery, it may be this one's.
    if (!core || others.length > 0 || core.aggregate || binder.entangled) return;
    for (const term of core.conjuncts) {
      const equal = readLeaf(tokens, term);
      if (equal?.kind === 'columns') addFor(column(equal.left, core), column(equal.right, core));
    }
  }
}

/** And nothing behind it: `exists (...) = 0` asks for the opposite. */
const isExists = (tokens: readonly Token[], { from, to }: Range): boolean =>
  isWord(tokens[from], 'exists') && isOp(tokens[from + 1], '(') && tokens[from + 1]?.match === to - 1;

/** Each of its rows is there whatever other rows there are. */
const isUncut = ({ select, cores }: BoundSelect): boolean =>
  cores.length === 1 && !select.limitClause && !cores[0]?.aggregate && !cores[0]?.windows;

/** What has been found, without cuts that may turn out to be too short. */
export const surely = (mentions: readonly Mention[]): Mention[] =>
  mentions.map((mention) => (mention.top?.hopeful ? { ...mention, top: undefined } : mention));

function topOf(ref: TableRef, binder: Binder): Top | undefined {
  const { core } = ref;
  const select = binder.selects.find(({ cores }) => cores.length === 1 && cores[0] === core);
  const [first] = core.sources;
  const others = core.sources.filter((source) => source.ref !== ref);
  const { limit, offset, orderBy } = select?.select ?? {};
  if (!select || !limit || !orderBy || binder.entangled || ref.nullable) return undefined;
  // Of the first table each row makes one or more if the others are left-joined; otherwise perhaps none.
  const hopeful = first?.ref !== ref || others.some(({ source }) => source.join !== 'left');
  if (core.core.opaqueFrom || core.hasRightJoin || (hopeful && select.select !== binder.parsed.statement))
    return undefined;
  if (core.aggregate || core.windows || core.core.distinct) return undefined;
  if (orderBy.length === 0 && first?.ref !== ref) return undefined;
  const isKnown = (range: Range | undefined) => !range || readValue(binder.tokens, range) !== undefined;
  if (!isKnown(limit) || !isKnown(offset)) return undefined;
  const isLink = (range: Range) => hopeful && readLeaf(binder.tokens, range)?.kind === 'columns';
  if (!core.conjuncts.every((range) => isAbout(ref, binder.tokens, range) || isLink(range))) return undefined;
  const terms = orderBy.length > 0 ? orderTerms(binder.parsed, orderBy, core) : primaryKeyTerms(ref.table);
  const isOwn = ({ expr }: Term) => typeof expr === 'string' || isAbout(ref, binder.tokens, expr);
  return terms && terms.length > 0 && terms.every(isOwn) ? { select, terms, hopeful } : undefined;
}

/** So that pages are stable. */
function primaryKeyTerms({ primaryKey, columns }: Table): Term[] {
  return primaryKey.flatMap((name): Term[] => {
    const column = columns.find((one) => one.name === name);
    if (!column) return [];
    const { collation, affinity } = column;
    return [{ expr: name, text: name, descending: false, nulls: 'first', collation, large: affinity !== 'text' }];
  });
}
