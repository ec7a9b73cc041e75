import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import type { BoundCore, BoundSelect } from './scope';

/**
 * Does every row that the statement reads belong to the key of the row it makes? Then each shard can answer for its own
 * keys. `root` is the class of the keys of the outermost rows.
 */
export function isLocalTo(root: KeyClass, binder: Binder): boolean {
  return binder.refs.every((ref) => {
    const { kind } = ref.table.placement;
    if (kind === 'pinned') return false;
    return kind === 'replicated' || ref.key?.outermost() === root.find();
  });
}

/**
 * The class of the keys whose rows a FROM clause joins, if each row it makes holds a row of just that class: a left join
 * needs it on the left, or every shard would make the row without a partner.
 */
export function anchorOf(bound: BoundCore): KeyClass | undefined {
  if (bound.hasRightJoin || bound.core.opaqueFrom) return undefined;
  let anchor: KeyClass | undefined;
  for (const one of bound.sources) {
    const key = one.ref?.key?.find() ?? derivedAnchor(one.derived);
    if (key === undefined) continue;
    if (key === 'none') return undefined;
    if (anchor === undefined && one.source.join === 'left') return undefined;
    anchor ??= key.outermost();
    if (key.outermost() !== anchor) return undefined;
  }
  return anchor;
}

/** Undefined: the derived table reads replicated tables only. */
function derivedAnchor(derived: BoundSelect | undefined): KeyClass | 'none' | undefined {
  if (!derived) return undefined;
  const sharded = derived.cores.some((core) => core.sources.some((one) => one.ref?.key || derivedAnchor(one.derived)));
  if (!sharded) return undefined;
  const [core] = derived.cores;
  const anchor = core && derived.cores.length === 1 ? anchorOf(core) : undefined;
  return anchor ?? 'none';
}
