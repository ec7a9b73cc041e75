/** From every state: what a fresh mover can do when all others are dead. */
import { A, B, C, explicit, type NamedScope, one, row, toKey, toSlot, two } from './named.ts';

export const scopes: readonly NamedScope[] = [
  {
    id: 'recover-slots',
    title: 'recovery from every state: a slot there and back, zombies',
    isSmall: true,
    scope: {
      shards: 2,
      ...two,
      start: [row(0, A), explicit(1, A)],
      moves: [toSlot(B), toSlot(A)],
      movers: 2,
      writes: 1,
      collect: true,
      recovers: true,
    },
  },
  {
    id: 'recover-key-and-slot',
    title: 'recovery from every state: a key and its slot, record on a third shard',
    scope: {
      shards: 3,
      ...one,
      start: [explicit(0, B)],
      moves: [toKey(C), toSlot(C)],
      movers: 2,
      writes: 1,
      collect: true,
      recovers: true,
    },
  },
  {
    id: 'recover-three-moves',
    title: 'recovery from every state: three moves of a key and its slot',
    scope: {
      shards: 3,
      ...one,
      start: [row(0, A)],
      moves: [toKey(B), toSlot(C), toKey(A)],
      writes: 1,
      collect: true,
      recovers: true,
    },
  },
  {
    id: 'recover-claims',
    title: 'recovery from every state: claims, a key and its slot',
    scope: {
      shards: 3,
      ...one,
      moves: [toKey(B), toSlot(C)],
      writes: 1,
      claims: [
        { key: 0, to: C },
        { key: 0, to: B },
      ],
      collect: true,
      recovers: true,
    },
  },
  {
    id: 'recover-scatter-write',
    title: 'recovery from every state: a scatter write with pins',
    isSmall: true,
    scope: {
      shards: 2,
      ...one,
      start: [row(0, A)],
      moves: [toSlot(B)],
      movers: 2,
      writes: 1,
      collect: true,
      recovers: true,
      scatterWrites: [{ shards: [A, B] }],
      pinsExpire: true,
    },
  },
];
