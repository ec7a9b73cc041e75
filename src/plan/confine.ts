import type { Range } from '../sql/ast';
import { type Leaf, readLeaf, splitCondition, unwrap } from '../sql/conditions';
import { foldName, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import type { KeyClass } from './key-class';
import { ALL, allOf, anyOf, type KeySet, NONE } from './key-set';
import { type BoundColumn, type BoundCore, type BoundSource, resolveRange } from './scope';

/** Reads `a.key = b.key` and `a.key in (select b.key ...)` from the conditions that every row of the core must meet. */
export function uniteEqualKeys(bound: BoundCore, binder: Binder): void {
  for (const range of bound.conjuncts) {
    const leaf = readLeaf(binder.tokens, range);
    if (leaf?.kind === 'columns') {
      const [left, right] = keysOf(leaf, bound, binder.tokens);
      if (left && right) unite(bound, left.key, right.key);
    } else if (leaf?.kind === 'in-select') tieSubquery(leaf, bound, binder);
  }
  for (const [joined, terms] of bound.outerConjuncts) uniteJoined(joined, terms, bound, binder.tokens);
  if (!bound.hasRightJoin && !bound.core.opaqueFrom) uniteUsing(bound);
}

type ColumnsLeaf = Extract<Leaf, { kind: 'columns' }>;
type KeyColumn = BoundColumn & { readonly key: KeyClass };

/** Both sides of an equality, if they are shard keys that can be equal. */
function keysOf(leaf: ColumnsLeaf, bound: BoundCore, tokens: readonly Token[]): [KeyColumn?, KeyColumn?] {
  const left = resolveRange(bound.scope, tokens, leaf.left);
  const right = resolveRange(bound.scope, tokens, leaf.right);
  return left?.key && right?.key?.canEqual(left.key) ? [left as KeyColumn, right as KeyColumn] : [];
}

/**
 * The ON of a left join says where the joined row can be, and nothing of the rows on the left: its first equality places the
 * joined row with another, and a second one must not make two others equal.
 */
function uniteJoined(joined: BoundSource, terms: readonly Range[], bound: BoundCore, tokens: readonly Token[]): void {
  const isJoined = (column: BoundColumn) => joined.columns?.some((one) => one === column) ?? false;
  for (const range of terms) {
    const leaf = readLeaf(tokens, range);
    const [left, right] = leaf?.kind === 'columns' ? keysOf(leaf, bound, tokens) : [];
    if (!left || !right || isJoined(left) === isJoined(right)) continue;
    unite(bound, left.key, right.key);
    return;
  }
}

function tieSubquery(leaf: Extract<Leaf, { kind: 'in-select' }>, bound: BoundCore, binder: Binder): void {
  const outer = resolveRange(bound.scope, binder.tokens, leaf.column)?.key;
  const inner = binder.subquery(leaf.select.from);
  const [selected] = inner?.columns ?? [];
  if (!outer || !inner || inner.columns?.length !== 1 || !selected?.key?.canEqual(outer)) return;
  if (!inner.transparent(selected.key)) return;
  // Both ways: only outer keys matter inside, and only inner keys pass outside.
  for (const set of selected.key.ownConstraints) if (outer.level === bound.level) outer.constrain(set);
  selected.key.tieTo(outer);
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
export function constrainClasses(bound: BoundCore, tokens: readonly Token[]): void {
  const classes = new Set<KeyClass>();
  for (const source of bound.sources)
    for (const column of source.columns ?? []) if (column.key) classes.add(column.key.find());
  for (const key of classes) for (const range of bound.conjuncts) key.constrain(keySetOf(range, key, bound, tokens));
}

/** AND intersects, OR unites, unknown in an OR makes the whole unknown. */
function keySetOf(whole: Range, key: KeyClass, bound: BoundCore, tokens: readonly Token[]): KeySet {
  const range = unwrap(tokens, whole);
  for (const word of ['or', 'and'] as const) {
    const parts = splitCondition(tokens, range, word);
    if (parts.length === 1) continue;
    const sets = parts.map((part) => keySetOf(part, key, bound, tokens));
    return word === 'or' ? anyOf(sets) : allOf(sets);
  }
  const leaf = readLeaf(tokens, range);
  return leaf ? leafKeySet(leaf, key, bound, tokens) : ALL;
}

function leafKeySet(leaf: Leaf, key: KeyClass, bound: BoundCore, tokens: readonly Token[]): KeySet {
  if (leaf.kind === 'false') return NONE;
  if (leaf.kind !== 'equal' && leaf.kind !== 'in') return ALL;
  const column = resolveRange(bound.scope, tokens, leaf.column);
  const affinity = column?.column?.affinity;
  if (!column?.key || !affinity || column.key.find() !== key.find()) return ALL;
  return { kind: 'values', values: leaf.kind === 'equal' ? [leaf.value] : leaf.values, affinity };
}
