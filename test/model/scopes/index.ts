import * as claims from './claims.ts';
import * as drains from './drains.ts';
import * as lists from './lists.ts';
import * as moves from './moves.ts';
import type { Counterexample, NamedScope } from './named.ts';
import * as notes from './notes.ts';
import * as recovery from './recovery.ts';
import * as scatters from './scatters.ts';

export const scopes: readonly NamedScope[] = [moves, claims, scatters, recovery, notes, lists, drains].flatMap(
  (part) => part.scopes,
);

export const counterexamples: readonly Counterexample[] = [moves, claims, scatters, notes, lists, drains].flatMap(
  (part) => part.counterexamples,
);
