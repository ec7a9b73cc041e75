import { beforeAll, describe, expect, it } from 'vitest';
import { compareValues } from '../../src/merge/compare';
import { resetDatabases } from '../support/reset';
import { plain } from '../support/shards';

/** In ascending order, each less than the next. */
const ascending: [string, string, readonly unknown[]][] = [
  ['kinds', 'BINARY', [null, -1, '', [0]]],
  ['numbers', 'BINARY', [null, -1e300, -9007199254740991, -1.5, 0, 5e-324, 0.1, 1, 2, 10, 1e300]],
  [
    'numbers beyond 2^53',
    'BINARY',
    [-(2n ** 53n) - 1n, -(2 ** 53), 1, 2 ** 53, 2n ** 53n + 1n, 9223372036854775807n, 1e300],
  ],
  ['text', 'BINARY', ['', ' ', '!', '1', '10', '2', 'A', 'B', 'Z', '[', 'a', 'aa', 'b', 'z', '~', 'Ä', 'ä', '€']],
  ['text with NUL characters', 'BINARY', ['', '\0', '\0\0', 'a', 'a\0', 'a\0b', 'a\u0001']],
  [
    'text by code point',
    'BINARY',
    ['z', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{1f600}', '\u{1f601}', '\u{10ffff}'],
  ],
  ['text by code point, later on', 'BINARY', ['x\ufffd', 'x\u{10000}', 'x\u{10000}a', 'x\u{10001}']],
  ['blobs', 'BINARY', [[], [0], [0, 0], [0, 1], [1], [127], [128], [255], [255, 0]]],
  ['NOCASE folds ASCII only', 'NOCASE', ['', '1', 'A', 'b', 'C', 'd', 'Z', '{', 'Ä', 'ä']],
  ['NOCASE orders _ after Z', 'NOCASE', ['[', '_', 'A', 'Z', '|']],
  ['RTRIM ignores spaces at the end', 'RTRIM', ['', ' a', 'A', 'a', 'a  c', 'a b']],
];

const equal: [string, unknown, unknown][] = [
  ['BINARY', 0, -0],
  ['BINARY', 1, 1n],
  ['BINARY', null, undefined],
  ['BINARY', [1, 2], new Uint8Array([1, 2]).buffer],
  ['NOCASE', 'aBc', 'AbC'],
  ['NOCASE', 'ä', 'ä'],
  ['RTRIM', 'a', 'a   '],
  ['RTRIM', '', '  '],
];

describe('compareValues', () => {
  it.each(ascending)('%s', (_name, collation, values) => {
    for (const [i, a] of values.entries()) {
      for (const [j, b] of values.entries()) {
        expect(Math.sign(compareValues(a, b, collation)), `${String(a)} ? ${String(b)}`).toBe(Math.sign(i - j));
      }
    }
  });

  it.each(equal)('%s: %s equals %s', (collation, a, b) => {
    expect(compareValues(a, b, collation)).toBe(0);
    expect(compareValues(b, a, collation)).toBe(0);
  });

  it.each<[string, unknown, unknown]>([
    ['BINARY', 'a', 'A'],
    ['NOCASE', 'Ä', 'ä'],
    ['NOCASE', 'a', 'a '],
    ['NOCASE', '\u212a', 'k'],
    ['RTRIM', 'a', ' a'],
    ['RTRIM', 'a', 'a\t'],
    ['RTRIM', 'a', 'A'],
    ['BINARY', 1, '1'],
    ['BINARY', 'a', [97]],
  ])('%s: %s differs from %s', (collation, a, b) => expect(compareValues(a, b, collation)).not.toBe(0));
});

describe('the order is that of SQLite', () => {
  beforeAll(async () => {
    await resetDatabases();
    await plain.exec('create table v (n integer primary key, v)');
  });

  it.each(ascending.filter(([, , values]) => !values.some((value) => typeof value === 'bigint')))(
    '%s',
    async (_name, collation, values) => {
      await plain.prepare('delete from v').run();
      const insert = plain.prepare('insert into v (n, v) values (?, ?)');
      const bound = values.map((value) => (Array.isArray(value) ? new Uint8Array(value) : value));
      await plain.batch(bound.map((value, i) => insert.bind(i, value)));
      const sorted = await plain.prepare(`select n from v order by v collate ${collation}, n desc`).raw<[number]>();
      expect(sorted.map(([n]) => n)).toEqual(values.map((_, i) => i));
    },
  );
});
