/** New keys that a strategy places, while moves are under way. */
import { A, B, C, type Counterexample, type NamedScope, one, toKey, toSlot } from './named.ts';

export const scopes: readonly NamedScope[] = [
  {
    id: 'claims-slot',
    title: 'two racing claims and a slot move with a zombie',
    isSmall: true,
    scope: {
      shards: 3,
      ...one,
      moves: [toSlot(C)],
      movers: 2,
      writes: 2,
      collect: true,
      claims: [
        { key: 0, to: C },
        { key: 0, to: B },
      ],
    },
  },
  {
    id: 'claims-key',
    title: 'two racing claims and a move of the key with a zombie',
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B)],
      movers: 2,
      writes: 2,
      collect: true,
      claims: [
        { key: 0, to: C },
        { key: 0, to: B },
      ],
    },
  },
  {
    id: 'claims-both',
    title: 'two racing claims, the key moves and its slot',
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B), toSlot(C)],
      writes: 2,
      collect: true,
      claims: [
        { key: 0, to: C },
        { key: 0, to: B },
      ],
    },
  },
  {
    id: 'claim-three-moves',
    title: 'a claim and three moves of the key and its slot',
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B), toSlot(B), toKey(A)],
      writes: 1,
      collect: true,
      claims: [{ key: 0, to: C }],
    },
  },
];

export const counterexamples: readonly Counterexample[] = [
  {
    id: 'no-claim-freeze',
    title: 'a claim on a frozen slot is lost',
    without: { claimFreeze: false },
    isSmall: true,
    scope: {
      shards: 3,
      ...one,
      moves: [toSlot(B)],
      claims: [
        { key: 0, to: C },
        { key: 0, to: A },
      ],
      aborts: false,
    },
  },
  {
    id: 'no-claim-fence',
    title: 'a late "lives here", after the key has moved on and its forwarding record was collected',
    without: { claimFence: false },
    isSmall: true,
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B)],
      writes: 1,
      claims: [{ key: 0, to: C }],
      collect: true,
      aborts: false,
    },
  },
  {
    id: 'no-claim-fence-slot',
    title: 'the same, the forwarding record went away with its slot',
    without: { claimFence: false },
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B), { ...toSlot(C), after: 0 }, { ...toSlot(A), after: 1 }],
      writes: 1,
      claims: [
        { key: 0, to: C },
        { key: 0, to: A },
      ],
      aborts: false,
    },
  },
  {
    id: 'no-freeze-checks',
    title: 'a claim comes between the source and its FREEZE',
    without: { freezeChecks: false },
    isSmall: true,
    scope: { shards: 3, ...one, moves: [toKey(B)], writes: 1, claims: [{ key: 0, to: C }], aborts: false },
  },
  {
    id: 'no-homecomer-record',
    title: 'a key that comes home loses its record and is claimed again',
    without: { homecomerKeepsRecord: false },
    scope: { shards: 3, ...one, moves: [toKey(A)], aborts: false, claims: [{ key: 0, to: C }] },
  },
];
