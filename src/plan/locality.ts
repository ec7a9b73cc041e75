import type { Range, Select } from '../sql/ast';
import { partitionsIn } from '../sql/functions';
import type { Token } from '../sql/tokens';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { type BoundCore, type BoundSelect, type OutputColumn, resolveRange } from './scope';

/**
 * Does every row that the statement reads belong to the key of the row it makes? Then each shard can answer for its own
 * keys. `root` is the class of the keys of the outermost rows.
 */
export function isLocalTo(root: KeyClass, binder: Binder): boolean {
  if (binder.entangled) return false;
  return binder.refs.every((ref) => {
    const { kind } = ref.table.placement;
    if (kind === 'pinned') return false;
    return kind === 'replicated' || ref.key?.outermost() === root.outermost();
  });
}

/**
 * The class of the keys whose rows a FROM clause joins, if each row it makes holds a row of just that class: a left join
 * needs it on the left, or every shard would make the row without a partner.
 */
export function anchorOf(bound: BoundCore, tokens: readonly Token[]): KeyClass | undefined {
  if (bound.hasRightJoin || bound.core.opaqueFrom) return undefined;
  let anchor: KeyClass | undefined;
  for (const one of bound.sources) {
    const key = one.ref?.key ?? derivedAnchor(one.derived, tokens);
    if (key === undefined) continue;
    if (key === 'none' || (anchor === undefined && one.source.join === 'left')) return undefined;
    anchor ??= key.outermost();
    if (key.outermost() !== anchor) return undefined;
  }
  return anchor;
}

/** Undefined: the derived table reads replicated tables only. */
function derivedAnchor(derived: BoundSelect | undefined, tokens: readonly Token[]): KeyClass | 'none' | undefined {
  if (!derived || !readsSharded(derived)) return undefined;
  const [core] = derived.cores;
  const anchor = core && derived.cores.length === 1 ? anchorOf(core, tokens) : undefined;
  if (!anchor || !derived.transparent(anchor)) return 'none';
  return core?.core.distinct && !outputsKey(derived.columns, anchor) ? 'none' : anchor;
}

const readsSharded = (derived: BoundSelect): boolean =>
  derived.cores.some((core) => core.sources.some((one) => one.ref?.key || (one.derived && readsSharded(one.derived))));

const isKeyOf = (column: OutputColumn | undefined, key: KeyClass): boolean =>
  column !== undefined && !column.nullable && column.key?.outermost() === key.outermost();

/** A column is the key itself: rows that differ in their key differ in it. */
export const outputsKey = (columns: readonly OutputColumn[] | undefined, key: KeyClass): boolean =>
  columns?.some((column) => isKeyOf(column, key)) ?? false;

/** GROUP BY names the key itself, so that no group has rows of two keys. */
export const groupsByKey = (bound: BoundCore, key: KeyClass, tokens: readonly Token[]): boolean =>
  namesKey(bound, bound.core.groupBy, key, tokens);

/** PARTITION BY of each window names the key itself, so that none looks at rows of two keys. */
export function windowsByKey(bound: BoundCore, select: Select, key: KeyClass, tokens: readonly Token[]): boolean {
  if (!bound.windows) return true;
  // A named window would have to be followed to where it is defined.
  if (bound.core.window) return false;
  const { columns, having } = bound.core;
  const ranges = [...columns, ...select.orderBy].map(({ expr }) => expr).concat(having ?? []);
  return ranges.every((range) =>
    partitionsIn(tokens, range).every((terms) => namesKey(bound, terms ?? [], key, tokens)),
  );
}

const namesKey = (bound: BoundCore, terms: readonly Range[], key: KeyClass, tokens: readonly Token[]): boolean =>
  terms.some((term) => {
    const column = resolveRange(bound.scope, tokens, term);
    return column !== undefined && isKeyOf({ ...column, name: '' }, key);
  });
