import type { Affinity } from '../layout/table';
import { type CanonicalKey, canonicalKey } from '../placement/key';
import type { ValueRef } from '../sql/conditions';

/** The keys that a condition lets through, before the values are bound. */
export type KeySet =
  | { readonly kind: 'all' }
  | { readonly kind: 'values'; readonly values: readonly ValueRef[]; readonly affinity: Affinity }
  | { readonly kind: 'and' | 'or'; readonly of: readonly KeySet[] };

export const ALL: KeySet = { kind: 'all' };
export const NONE: KeySet = { kind: 'or', of: [] };

/** Intersects; what says nothing falls away. */
export function allOf(sets: readonly KeySet[]): KeySet {
  const of = sets.filter((set) => set.kind !== 'all');
  return of.length === 0 ? ALL : of.length === 1 ? (of[0] as KeySet) : { kind: 'and', of };
}

/** Unites; one unknown makes the whole unknown. */
export function anyOf(sets: readonly KeySet[]): KeySet {
  return sets.some((set) => set.kind === 'all') ? ALL : { kind: 'or', of: sets };
}

/** The keys by name, or `all` when the bound values do not say. */
export function keysOf(set: KeySet, params: readonly unknown[]): ReadonlySet<string> | 'all' {
  if (set.kind === 'all') return 'all';
  if (set.kind === 'values') return valuesOf(set.values, set.affinity, params);
  const parts = set.of.map((part) => keysOf(part, params));
  if (set.kind === 'or') {
    const union = new Set<string>();
    for (const part of parts) {
      if (part === 'all') return 'all';
      for (const key of part) union.add(key);
    }
    return union;
  }
  const known = parts.filter((part) => part !== 'all');
  const [first, ...others] = known;
  if (first === undefined) return 'all';
  return new Set([...first].filter((key) => others.every((part) => part.has(key))));
}

function valuesOf(
  values: readonly ValueRef[],
  affinity: Affinity,
  params: readonly unknown[],
): ReadonlySet<string> | 'all' {
  const keys = new Set<string>();
  for (const value of values) {
    for (const key of canonicalValues(value, affinity, params)) {
      if (key === undefined) return 'all';
      if (key !== null) keys.add(key);
    }
  }
  return keys;
}

function canonicalValues(value: ValueRef, affinity: Affinity, params: readonly unknown[]): CanonicalKey[] {
  if (value.kind !== 'json') return [canonicalValue(value, affinity, params)];
  const list = parseJson(params[value.index]);
  return Array.isArray(list) ? list.map((item) => canonicalKey(item, affinity)) : [undefined];
}

/** One value in its one spelling. */
export const canonicalValue = (
  value: Exclude<ValueRef, { kind: 'json' }>,
  affinity: Affinity,
  params: readonly unknown[],
): CanonicalKey => canonicalKey(value.kind === 'param' ? params[value.index] : value.value, affinity);

function parseJson(text: unknown): unknown {
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
