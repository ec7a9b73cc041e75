import type { Range } from '../sql/ast';
import { type Leaf, readLeaf, splitCondition, unwrap } from '../sql/conditions';
import { foldName } from '../sql/tokens';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { ALL, allOf, anyOf, type KeySet, NONE } from './key-set';
import { type BoundCore, type BoundSource, resolveRange } from './scope';

/** Reads `a.key = b.key` and `a.key in (select b.key ...)` from the conditions that every row of the core must meet. */
export function uniteEqualKeys(bound: BoundCore, binder: Binder): void {
  for (const range of bound.conjuncts) uniteIn(bound, binder, range, undefined);
  for (const [joined, terms] of bound.outerConjuncts) for (const range of terms) uniteIn(bound, binder, range, joined);
  if (!bound.hasRightJoin && !bound.core.opaqueFrom) uniteUsing(bound);
}

/** `joined`: the right side of a left join. Its ON makes keys equal only if one of them is the joined one. */
function uniteIn(bound: BoundCore, binder: Binder, range: Range, joined: BoundSource | undefined): void {
  const leaf = readLeaf(binder.tokens, range);
  const key = (column: Range) => resolveRange(bound.scope, binder.tokens, column)?.key;
  const ofJoined = (column: KeyClass) => joined?.columns?.some((one) => one.key?.find() === column.find()) ?? false;
  if (leaf?.kind === 'columns') {
    const left = key(leaf.left);
    const right = key(leaf.right);
    if (!left || !right || !left.canEqual(right)) return;
    if (joined && !ofJoined(left) && !ofJoined(right)) return;
    unite(bound, left, right);
  } else if (leaf?.kind === 'in-select' && !joined) {
    const outer = key(leaf.column);
    const inner = binder.subquery(leaf.select.from);
    const [selected] = inner?.columns ?? [];
    if (!outer || !inner || inner.columns?.length !== 1 || !selected?.key || !selected.key.canEqual(outer)) return;
    if (!inner.transparent(selected.key)) return;
    // Both ways: only outer keys matter inside, and only inner keys pass outside.
    for (const set of selected.key.ownConstraints) if (outer.level === bound.level) outer.constrain(set);
    selected.key.tieTo(outer);
  }
}

function unite(bound: BoundCore, left: KeyClass, right: KeyClass): void {
  const leftIsHere = left.level === bound.level;
  const rightIsHere = right.level === bound.level;
  if (leftIsHere && rightIsHere) left.unite(right);
  else if (leftIsHere) left.tieTo(right);
  else if (rightIsHere) right.tieTo(left);
}

function uniteUsing(bound: BoundCore): void {
  for (const [i, source] of bound.sources.entries()) {
    for (const name of source.source.using) {
      const keyNamed = (one: BoundSource) =>
        one.columns?.filter((column) => foldName(column.name) === foldName(name)) ?? [];
      const before = bound.sources.slice(0, i).flatMap(keyNamed);
      const [own] = keyNamed(source);
      const [left] = before;
      if (before.length === 1 && own?.key && left?.key?.canEqual(own.key)) unite(bound, left.key, own.key);
    }
  }
}

/** Notes for each class of keys of this level what the conditions say of it. */
export function constrainClasses(bound: BoundCore, binder: Binder): void {
  const classes = new Set<KeyClass>();
  for (const source of bound.sources)
    for (const column of source.columns ?? []) if (column.key) classes.add(column.key.find());
  for (const key of classes) for (const range of bound.conjuncts) key.constrain(keySetOf(range, key, bound, binder));
}

/** AND intersects, OR unites, unknown in an OR makes the whole unknown. */
function keySetOf(whole: Range, key: KeyClass, bound: BoundCore, binder: Binder): KeySet {
  const range = unwrap(binder.tokens, whole);
  for (const word of ['or', 'and'] as const) {
    const parts = splitCondition(binder.tokens, range, word);
    if (parts.length === 1) continue;
    const sets = parts.map((part) => keySetOf(part, key, bound, binder));
    return word === 'or' ? anyOf(sets) : allOf(sets);
  }
  const leaf = readLeaf(binder.tokens, range);
  return leaf ? leafKeySet(leaf, key, bound, binder) : ALL;
}

function leafKeySet(leaf: Leaf, key: KeyClass, bound: BoundCore, binder: Binder): KeySet {
  if (leaf.kind === 'false') return NONE;
  if (leaf.kind !== 'equal' && leaf.kind !== 'in') return ALL;
  const column = resolveRange(bound.scope, binder.tokens, leaf.column);
  const affinity = column?.column?.affinity;
  if (!column?.key || !affinity || column.key.find() !== key.find()) return ALL;
  return { kind: 'values', values: leaf.kind === 'equal' ? [leaf.value] : leaf.values, affinity };
}
