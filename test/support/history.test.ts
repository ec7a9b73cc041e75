import { describe, expect, it } from 'vitest';
import { checkHistory, type Entry, History } from './history';

type Timeless<T = Entry> = T extends Entry ? Omit<T, 'begin' | 'end'> : never;

/** What began and ended when, on a clock of its own. */
const at = (begin: number, end: number, entry: Timeless): Entry => ({ ...entry, begin, end });
const insert = (begin: number, end: number, token: string, key = 'k') => at(begin, end, { kind: 'insert', key, token });
const append = (begin: number, end: number, token: string, changes = 1, key = 'k') =>
  at(begin, end, { kind: 'append', key, token, changes });
const read = (begin: number, end: number, value: string | null, key = 'k') =>
  at(begin, end, { kind: 'read', key, value });
const remove = (begin: number, end: number, value: string | null, key = 'k') =>
  at(begin, end, { kind: 'delete', key, value });
const appendToAll = (begin: number, end: number, token: string, changes: number) =>
  at(begin, end, { kind: 'append to all', token, changes });
const readAll = (begin: number, end: number, rows: [string, string][]) => at(begin, end, { kind: 'read all', rows });
const countOf = (of: 'rows' | 'posts', begin: number, end: number, found: number) =>
  at(begin, end, { kind: 'count', of, found });
const NEVER = Number.POSITIVE_INFINITY;

describe('a history that is right', () => {
  const rights: Record<string, Entry[]> = {
    'one after the other': [
      insert(1, 2, 'i1'),
      append(3, 4, 'a2'),
      read(5, 6, 'i1,a2'),
      append(7, 8, 'a3'),
      read(9, 10, 'i1,a2,a3'),
    ],
    'reads at once with a write see it or not': [
      insert(1, 2, 'i1'),
      append(3, 10, 'a2'),
      read(4, 8, 'i1,a2'),
      read(5, 7, 'i1'),
    ],
    'writes at once come in any order': [
      insert(1, 2, 'i1'),
      append(3, 9, 'a2'),
      append(4, 8, 'a3'),
      read(10, 11, 'i1,a3,a2'),
    ],
    'a row that goes and comes again': [
      insert(1, 2, 'i1'),
      read(3, 4, 'i1'),
      remove(5, 6, 'i1'),
      read(7, 8, null),
      append(9, 10, 'a2', 0),
      insert(11, 12, 'i3'),
      read(13, 14, 'i3'),
    ],
    'an append that just missed the row': [insert(1, 2, 'i1'), remove(3, 8, 'i1'), append(4, 9, 'a2', 0)],
    'a write without an answer that was applied': [insert(1, 2, 'i1'), append(3, NEVER, 'a2'), read(5, 6, 'i1,a2')],
    'a write without an answer that was not': [insert(1, 2, 'i1'), append(3, NEVER, 'a2'), read(5, 6, 'i1')],
    'a write to all rows that are there': [
      insert(1, 2, 'i1', 'k'),
      insert(1, 2, 'i2', 'l'),
      remove(3, 4, 'i2', 'l'),
      appendToAll(5, 6, 's3', 1),
      readAll(7, 8, [['k', 'i1,s3']]),
    ],
    'a count while a row comes': [
      insert(1, 2, 'i1'),
      insert(3, 9, 'i2', 'l'),
      countOf('rows', 4, 5, 1),
      countOf('rows', 6, 7, 2),
    ],
    'posts that were added': [
      insert(1, 2, 'i1'),
      append(3, 4, 'p2'),
      at(5, 6, { kind: 'read', key: 'k', value: 'i1,p2', posts: ['p2'] }),
      at(5, 6, { kind: 'posts of all', counts: [['k', 1]] }),
      append(7, 12, 'p3'),
      countOf('posts', 8, 9, 1),
      countOf('posts', 10, 11, 2),
      read(13, 14, 'i1,p2,p3'),
    ],
  };
  it.each(Object.keys(rights))('%s', (name) => {
    expect(checkHistory(rights[name] as Entry[])).toEqual([]);
  });
});

describe('a history that is wrong', () => {
  const wrongs: Record<string, [string, Entry[]]> = {
    'an acknowledged write that nobody ever sees': [
      'the append of a2 (3 to 4) was acknowledged and is lost',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), read(5, 6, 'i1')],
    ],
    'a write that another one replaced': [
      'a2 (3 to 4) was acknowledged and is lost',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), append(5, 6, 'a3'), read(7, 8, 'i1,a3')],
    ],
    'a read that does not know of an acknowledged write': [
      'a read of i1 (5 to 6) comes after the append of a2',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), read(5, 6, 'i1'), read(7, 8, 'i1,a2')],
    ],
    'a read that goes back behind another read': [
      'a read of i1 (6 to 7) comes after a read of i1,a2',
      [insert(1, 2, 'i1'), append(3, 20, 'a2'), read(4, 5, 'i1,a2'), read(6, 7, 'i1')],
    ],
    'a read of what is not yet written': [
      'the append of a2 (5 to 6) comes after a read of i1,a2',
      [insert(1, 2, 'i1'), read(3, 4, 'i1,a2'), append(5, 6, 'a2')],
    ],
    'two rows that go on side by side': [
      'neither came from the other',
      [insert(1, 2, 'i1'), append(3, 9, 'a2'), append(3, 9, 'a3'), read(4, 5, 'i1,a2'), read(6, 7, 'i1,a3')],
    ],
    'writes in the wrong order': [
      'the append of a3 (5 to 6) comes after the append of a2',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), append(5, 6, 'a3'), read(7, 8, 'i1,a3,a2')],
    ],
    'a write that was applied twice': [
      'a2 is in its row twice',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), read(5, 6, 'i1,a2,a2')],
    ],
    'a token of nobody': ['a9 is in its row, and nobody wrote that', [insert(1, 2, 'i1'), read(3, 4, 'i1,a9')]],
    'a row of nobody': ['nobody inserted it', [insert(1, 2, 'i1'), read(3, 4, 'i9')]],
    'a row that is missed': [
      'a read of no row (3 to 4) comes after the insert of i1',
      [insert(1, 2, 'i1'), read(3, 4, null)],
    ],
    'a write that misses the row': [
      'the append of a2, which found no row, (3 to 4) comes after',
      [insert(1, 2, 'i1'), append(3, 4, 'a2', 0)],
    ],
    'a write that says that it missed the row': [
      'said that it changed nothing, and did',
      [insert(1, 2, 'i1'), append(3, 4, 'a2', 0), read(5, 6, 'i1,a2')],
    ],
    'a deleted row that comes back': [
      'a read of i1 (5 to 6) comes after the delete of i1',
      [insert(1, 2, 'i1'), remove(3, 4, 'i1'), read(5, 6, 'i1')],
    ],
    'a delete that finds no row': ['no row was deleted, and i1 was read', [insert(1, 2, 'i1'), remove(3, 4, null)]],
    'a delete of an old row': [
      'i1 was deleted, and i1,a2 was read',
      [insert(1, 2, 'i1'), append(3, 4, 'a2'), read(5, 6, 'i1,a2'), remove(7, 8, 'i1')],
    ],
    'a read of all that misses a row': [
      'a read of no row (3 to 4) comes after the insert of i1',
      [insert(1, 2, 'i1'), readAll(3, 4, [])],
    ],
    'a read of all that finds a row twice': [
      'a read of all (3 to 4) found k more than once',
      [
        insert(1, 2, 'i1'),
        readAll(3, 4, [
          ['k', 'i1'],
          ['k', 'i1'],
        ]),
      ],
    ],
    'a read of all that finds a stranger': [
      'found l, which nobody wrote',
      [
        insert(1, 2, 'i1'),
        readAll(3, 4, [
          ['k', 'i1'],
          ['l', 'i2'],
        ]),
      ],
    ],
    'a read of some that finds a row twice': [
      'found it twice',
      [insert(1, 2, 'i1'), at(3, 4, { kind: 'read twice', key: 'k', values: ['i1', 'i1'] })],
    ],
    'a count that misses a row': ['found 0 instead of 1', [insert(1, 2, 'i1'), countOf('rows', 3, 4, 0)]],
    'a count of a row twice': ['found 2 instead of 1', [insert(1, 2, 'i1'), countOf('rows', 3, 4, 2)]],
    'a count of too many while a row comes': [
      'found 3 instead of 1 to 2',
      [insert(1, 2, 'i1'), insert(3, 6, 'i2', 'l'), countOf('rows', 4, 5, 3)],
    ],
    'a count of posts that misses one': [
      'found 0 instead of 1',
      [insert(1, 2, 'i1'), append(3, 4, 'p2'), countOf('posts', 5, 6, 0), read(7, 8, 'i1,p2')],
    ],
    'posts of a key that are missed': [
      'a count of 0 posts (5 to 6) comes after the append of p2',
      [insert(1, 2, 'i1'), append(3, 4, 'p2'), at(5, 6, { kind: 'posts of all', counts: [] }), read(7, 8, 'i1,p2')],
    ],
    'half of a batch': [
      'the row i1,p2 was read together with the posts ',
      [insert(1, 2, 'i1'), append(3, 9, 'p2'), at(4, 5, { kind: 'read', key: 'k', value: 'i1,p2', posts: [] })],
    ],
    'a write to all that misses a row': [
      'key l: the append of s3, which found no row, (3 to 4) comes after the insert of i2',
      [
        insert(1, 2, 'i1', 'k'),
        insert(1, 2, 'i2', 'l'),
        appendToAll(3, 4, 's3', 1),
        readAll(5, 6, [
          ['k', 'i1,s3'],
          ['l', 'i2'],
        ]),
      ],
    ],
    'a write to all that says too much': [
      'said that it changed 2, and 1 have it',
      [insert(1, 2, 'i1'), appendToAll(3, 4, 's3', 2), readAll(5, 6, [['k', 'i1,s3']])],
    ],
  };
  it.each(Object.keys(wrongs))('%s', (name) => {
    const [says, entries] = wrongs[name] as [string, Entry[]];
    expect(checkHistory(entries).join('\n')).toContain(says);
  });
});

it('takes some thousand entries in its stride, in any order', () => {
  const history = new History();
  for (let key = 0; key < 20; key++) {
    let value = history.token('i');
    history.entries.push(at(history.tick(), history.tick(), { kind: 'insert', key: `k${key}`, token: value }));
    for (let i = 0; i < 200; i++) {
      const token = history.token('a');
      history.entries.push(append(history.tick(), history.tick(), token, 1, `k${key}`));
      value = `${value},${token}`;
      history.entries.push(read(history.tick(), history.tick(), value, `k${key}`));
    }
  }
  expect(checkHistory([...history.entries].reverse())).toEqual([]);
});
