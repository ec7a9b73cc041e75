/** Slot moves that find their keys by notes of the writers and a scan. */
import { A, B, C, type Counterexample, explicit, type NamedScope, one, row, toKey, toSlot, two } from './named.ts';

export const scopes: readonly NamedScope[] = [
  {
    id: 'notes',
    title: 'one slot move with a scan, a zombie, writes throughout',
    isSmall: true,
    scope: {
      shards: 2,
      ...two,
      start: [row(0, A)],
      moves: [toSlot(B)],
      movers: 2,
      writes: 2,
      notes: true,
      notesExpire: true,
      aborts: false,
    },
  },
  {
    id: 'notes-there-and-back',
    title: 'a slot there, back and there again, with stale notes and scope',
    isSmall: true,
    scope: {
      shards: 2,
      ...two,
      start: [row(0, A)],
      moves: [toSlot(B), { ...toSlot(A), after: 0 }, { ...toSlot(B), after: 1 }],
      writes: 2,
      notes: true,
      notesExpire: true,
    },
  },
  {
    id: 'notes-zombies',
    title: 'the same with zombies of the moves there, which run late',
    scope: {
      shards: 2,
      ...one,
      start: [row(0, A)],
      moves: [toSlot(B), { ...toSlot(A), after: 0, alone: true }, { ...toSlot(B), after: 1 }],
      movers: 2,
      writes: 1,
      notes: true,
      notesExpire: true,
      aborts: false,
    },
  },
  {
    id: 'notes-keys',
    title: 'a scan while a key of the slot moves away and back',
    scope: {
      shards: 2,
      ...two,
      start: [row(0, A), row(1, A)],
      moves: [toKey(B), { ...toKey(A), after: 0 }, { ...toSlot(B), after: 1 }],
      writes: 1,
      notes: true,
      notesExpire: true,
      collect: true,
    },
  },
  {
    id: 'notes-claims',
    title: 'a scan while a key of the slot is claimed',
    scope: {
      shards: 3,
      ...two,
      start: [row(1, A)],
      moves: [toSlot(B)],
      movers: 2,
      writes: 1,
      claims: [
        { key: 0, to: C },
        { key: 0, to: A },
      ],
      notes: true,
      notesExpire: true,
    },
  },
  {
    id: 'notes-ranges',
    title: 'a scan of two slots, of which one has been away',
    isSmall: true,
    scope: {
      shards: 2,
      owner: [A, A],
      keySlot: [0, 1],
      start: [row(0, A)],
      moves: [
        { slots: [0, 1], to: B },
        { slots: [1], to: B },
        { slots: [1], to: A, after: 1 },
        { slots: [0, 1], to: B, after: 2 },
      ],
      writes: 1,
      notes: true,
      notesExpire: true,
    },
  },
  {
    id: 'notes-recover',
    title: 'recovery from every state of a slot there and back, with scans',
    isSmall: true,
    scope: {
      shards: 2,
      ...two,
      start: [row(0, A), explicit(1, A)],
      moves: [toSlot(B), { ...toSlot(A), after: 0 }],
      writes: 1,
      notes: true,
      notesExpire: true,
      recovers: true,
    },
  },
];

const there = { shards: 2, ...one, start: [row(0, A)], notes: true };
const thereAndBack = {
  ...there,
  start: [],
  moves: [toSlot(B), { ...toSlot(A), after: 0, alone: true }, { ...toSlot(B), after: 1, alone: true }],
};

export const counterexamples: readonly Counterexample[] = [
  {
    id: 'no-writers-note',
    title: 'a key is inserted behind the scan, without a note',
    without: { writersNote: false },
    isSmall: true,
    scope: { ...there, start: [], moves: [toSlot(B)], writes: 1, aborts: false },
  },
  {
    id: 'no-noted',
    title: 'FREEZE does not ask for a note: it has expired, and a key came without one',
    without: { freezeNeedsNoted: false },
    isSmall: true,
    scope: { ...there, start: [], moves: [toSlot(B)], writes: 1, notesExpire: true, aborts: false },
  },
  {
    id: 'no-freeze-forgets-first',
    title: 'guards forget a note while FREEZE still builds on it',
    without: { freezeForgetsFirst: false },
    isSmall: true,
    scope: { ...there, start: [], moves: [toSlot(B)], writes: 1, notesExpire: true, aborts: false },
  },
  {
    id: 'no-land-drops-notes',
    title: 'an old note, noted, is still there when the slot comes back with a new row',
    without: { landDropsNotes: false },
    isSmall: true,
    scope: { ...thereAndBack, writes: 1, aborts: false },
  },
  {
    id: 'no-fresh-generation',
    title: 'the lost first one of two equal NOTEs comes late, and a zombie calls it noted',
    without: { freshGeneration: false },
    isSmall: true,
    scope: { ...thereAndBack, movers: 2, writes: 1, aborts: false },
  },
  {
    id: 'no-noted-generation',
    title: 'the end of the scan of a zombie marks a newer note, whose scan has only begun',
    without: { notedOwnGeneration: false },
    isSmall: true,
    scope: {
      ...thereAndBack,
      moves: [toSlot(B), { ...toSlot(A), after: 0, alone: true }, { ...toSlot(B), after: 1 }],
      movers: 2,
      writes: 1,
      aborts: false,
    },
  },
  {
    id: 'no-abort-keeps-scope',
    title: 'ABORT empties the scope while a note still says that it is complete',
    without: { abortKeepsScope: false },
    isSmall: true,
    scope: { ...there, moves: [toSlot(B), { ...toSlot(B), after: 0 }], movers: 2 },
  },
];
