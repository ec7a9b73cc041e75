/** Moves of a list of keys. */
import { A, B, C, type Counterexample, explicit, type NamedScope, row } from './named.ts';

export const scopes: readonly NamedScope[] = [
  {
    id: 'keys',
    title: 'a list of keys in two slots of one home, a third is claimed there meanwhile',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1, 0],
      start: [explicit(0, B), explicit(1, B)],
      moves: [{ keys: [0, 1, 2], from: B, to: C }],
      claims: [{ key: 2, to: B }],
      collect: true,
    },
  },
  {
    id: 'keys-zombie',
    title: 'the same with a zombie and writes',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1, 0],
      start: [explicit(0, B), explicit(1, B)],
      moves: [{ keys: [0, 1, 2], from: B, to: C }],
      movers: 2,
      writes: 1,
      claims: [{ key: 2, to: B }],
      collect: true,
    },
  },
  {
    id: 'keys-implicit',
    title: 'a list of keys that live with their slots, a third is claimed elsewhere',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1, 0],
      start: [row(0, A), explicit(1, A)],
      moves: [{ keys: [0, 1, 2], from: A, to: B }],
      movers: 2,
      writes: 1,
      claims: [{ key: 2, to: C }],
      collect: true,
    },
  },
  {
    id: 'keys-slot',
    title: 'a list of keys and one of their slots, a scatter',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1],
      start: [explicit(0, B), explicit(1, B)],
      moves: [
        { keys: [0, 1], from: B, to: C },
        { slots: [0], to: B },
      ],
      scatters: [{ shards: [A, B, C] }],
    },
  },
  {
    id: 'keys-recover',
    title: 'recovery from every state of a list of keys with a claim',
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1, 0],
      start: [explicit(0, B), explicit(1, B)],
      moves: [{ keys: [0, 1, 2], from: B, to: C }],
      claims: [{ key: 2, to: B }],
      collect: true,
      recovers: true,
    },
  },
];

export const counterexamples: readonly Counterexample[] = [
  {
    id: 'no-home-list',
    title: 'HOME re-points also a key that was claimed to the source meanwhile',
    without: { homeFollowsList: false },
    isSmall: true,
    scope: {
      shards: 3,
      owner: [A, A],
      keySlot: [0, 1, 0],
      start: [explicit(0, B), explicit(1, B)],
      moves: [{ keys: [0, 1], from: B, to: C }],
      claims: [{ key: 2, to: B }],
      aborts: false,
    },
  },
];
