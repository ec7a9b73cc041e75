/** A shard is emptied and retired. */
import { A, B, C, type Counterexample, explicit, type NamedScope, one, row, toSlot } from './named.ts';

export const scopes: readonly NamedScope[] = [
  {
    id: 'drain',
    title: 'B is drained of its keys while a router that does not know claims one there',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A],
      keySlot: [0, 0],
      start: [explicit(1, B)],
      moves: [
        { keys: [0, 1], from: B, to: C },
        { keys: [0, 1], from: B, to: A, after: 0 },
      ],
      claims: [{ key: 0, to: B }],
      collect: true,
      aborts: false,
      drain: { shard: B },
    },
  },
  {
    id: 'drain-slot',
    title: 'B is drained of a slot and of keys, and the home of the keys changes',
    scope: {
      shards: 3,
      owner: [B, A],
      keySlot: [0, 1],
      start: [row(0, B)],
      moves: [toSlot(A), { slots: [1], to: C }, { keys: [1], from: B, to: C, after: 1 }],
      writes: 0,
      aborts: false,
      claims: [{ key: 1, to: B }],
      drain: { shard: B },
    },
  },
  {
    id: 'drain-rebalance',
    title: 'B is drained while a slot moves to it',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A],
      keySlot: [0],
      start: [row(0, A)],
      moves: [toSlot(B), { ...toSlot(C), after: 0 }],
      writes: 1,
      collect: true,
      drain: { shard: B },
    },
  },
  {
    id: 'drain-scatter',
    title: 'scatters by the maps from before and after a shard is retired',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A],
      keySlot: [0],
      start: [explicit(0, B)],
      moves: [
        { keys: [0], from: B, to: C },
        { ...toSlot(C), after: 0 },
      ],
      writes: 1,
      aborts: false,
      scatters: [{ shards: [A, B, C] }, { shards: [A, C], afterRetire: true }],
      drain: { shard: B },
    },
  },
];

const draining = { shards: 3, ...one, drain: { shard: B } };

export const counterexamples: readonly Counterexample[] = [
  {
    id: 'no-claims-refused',
    title: 'a claim slips in after the last look at its home',
    without: { homesRefuseClaims: false, drainedRefusesArrivals: false },
    isSmall: true,
    scope: { ...draining, moves: [], claims: [{ key: 0, to: B }] },
  },
  {
    id: 'no-homes-refuse',
    title: 'only the drained shard refuses: a home names it after the last look',
    without: { homesRefuseClaims: false },
    isSmall: true,
    scope: { ...draining, moves: [], claims: [{ key: 0, to: B }] },
  },
  {
    id: 'not-all-told',
    title: 'only the homes are told, and then another shard becomes one',
    without: { drainTellsAll: false },
    isSmall: true,
    scope: { ...draining, moves: [toSlot(C)], claims: [{ key: 0, to: B }], aborts: false },
  },
  {
    id: 'no-look-balances',
    title: 'a home moves, with the record of a claim, from a shard not yet looked at to one that was',
    without: { lookBalances: false },
    isSmall: true,
    scope: { ...draining, moves: [toSlot(C)], claims: [{ key: 0, to: B }], aborts: false },
  },
  {
    id: 'no-drain-locks',
    title: 'a slot move to the shard begins before the look and lands after it',
    without: { drainLocks: false },
    isSmall: true,
    scope: { ...draining, start: [row(0, A)], moves: [toSlot(B)], aborts: false },
  },
];
