import type { Rules } from '../rules.ts';
import type { Scope } from '../scope.ts';

/** Something to explore, all rules in force: it must hold. */
export interface NamedScope {
  readonly id: string;
  readonly title: string;
  readonly scope: Scope;
  /** Quick enough for every run of CI. */
  readonly isSmall?: boolean;
}

/** A scope in which the protocol fails without a rule, and holds with it. */
export interface Counterexample extends NamedScope {
  /** What is switched off. The title says what happens then. */
  readonly without: Partial<Rules>;
}

export const A = 0;
export const B = 1;
export const C = 2;

/** A key that lives where its slot does, or by a record. */
export const row = (key: number, at: number) => ({ key, at });
export const explicit = (key: number, at: number) => ({ key, at, explicit: true });

/** One slot, which A owns, with one or two keys in it. */
export const one = { owner: [A], keySlot: [0] };
export const two = { owner: [A], keySlot: [0, 0] };

export const toSlot = (to: number) => ({ slots: [0], to });
export const toKey = (to: number) => ({ keys: [0], to });
