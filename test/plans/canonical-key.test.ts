import { beforeAll, describe, expect, it } from 'vitest';
import type { Affinity } from '../../src/layout/table';
import { canonicalKey } from '../../src/placement/key';
import { resetDatabases } from '../support/reset';
import { plain } from '../support/shards';

const TOLD_BY_NOTHING = undefined;
type Cases = [value: unknown, key: string | null | undefined][];

const shown = (value: unknown): string => (typeof value === 'bigint' ? `${value}n` : `${JSON.stringify(value)}`);
/** Each case with its title. */
const titled = (cases: Cases) => cases.map(([value, key]) => [`${shown(value)} → ${shown(key)}`, value, key] as const);

describe('a value against a text key', () => {
  it.each(
    titled([
      ['a', 'a'],
      ['', ''],
      [' a ', ' a '],
      ['5', '5'],
      ['5.0', '5.0'],
      ['a\0b', 'a\0b'],
      ['\u{1f600}', '\u{1f600}'],
      [null, null],
      [5, TOLD_BY_NOTHING],
      [5n, TOLD_BY_NOTHING],
      [true, TOLD_BY_NOTHING],
      [new Uint8Array([97]), TOLD_BY_NOTHING],
      [undefined, TOLD_BY_NOTHING],
    ]),
  )('%s', (_title, value, key) => expect(canonicalKey(value, 'text')).toBe(key));
});

describe('a value against an integer key', () => {
  it.each(
    titled([
      [5, '5'],
      [-5, '-5'],
      [0, '0'],
      [-0, '0'],
      [5n, '5'],
      [9223372036854775807n, '9223372036854775807'],
      [2 ** 53 - 1, '9007199254740991'],
      [2 ** 53, TOLD_BY_NOTHING],
      [1e300, TOLD_BY_NOTHING],
      [1.5, TOLD_BY_NOTHING],
      [Number.NaN, TOLD_BY_NOTHING],
      [Number.POSITIVE_INFINITY, TOLD_BY_NOTHING],
      [true, '1'],
      [false, '0'],
      [null, null],
      [undefined, TOLD_BY_NOTHING],
      [new Uint8Array([53]), TOLD_BY_NOTHING],
      ['5', '5'],
      ['-5', '-5'],
      ['+5', '5'],
      ['-0', '0'],
      ['0', '0'],
      ['007', '7'],
      ['5.0', '5'],
      ['5.', '5'],
      ['.5e1', '5'],
      ['1e2', '100'],
      ['1E+2', '100'],
      [' 5', '5'],
      ['5\t\n', '5'],
      ['9007199254740993', '9007199254740993'],
      ['-9223372036854775808', '-9223372036854775808'],
      ['9223372036854775808', TOLD_BY_NOTHING],
      ['5.5', TOLD_BY_NOTHING],
      ['9007199254740993.0', TOLD_BY_NOTHING],
      ['1e400', TOLD_BY_NOTHING],
      ['', ''],
      ['abc', 'abc'],
      ['5a', '5a'],
      ['5 5', '5 5'],
      ['0x5', '0x5'],
      ['1_000', '1_000'],
      ['\u00a05', '\u00a05'],
      ['٥', '٥'],
    ]),
  )('%s', (_title, value, key) => expect(canonicalKey(value, 'integer')).toBe(key));
});

describe('what is told is what SQLite stores', () => {
  beforeAll(async () => {
    await resetDatabases();
    await plain.exec('create table k (i integer, t text)');
  });

  const values = [
    '5',
    '+5',
    ' 5 ',
    '5.0',
    '.5e1',
    '1e2',
    '-0',
    '007',
    '5a',
    '',
    '0x5',
    '9007199254740993',
    '\v7\f',
    12,
    -3,
    true,
  ];

  it.each(values)('%j', async (value) => {
    await plain.prepare('delete from k').run();
    await plain.prepare('insert into k (i, t) values (?1, ?1)').bind(value).run();
    const stored = await plain.prepare('select cast(i as text) as i, t from k').first<{ i: string; t: string }>();
    for (const [affinity, text] of [
      ['integer', stored?.i],
      ['text', stored?.t],
    ] as [Affinity, string | undefined][]) {
      const key = canonicalKey(value, affinity);
      if (key !== undefined) expect(key).toBe(text);
    }
  });
});
