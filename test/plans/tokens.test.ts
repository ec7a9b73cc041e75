import { describe, expect, it } from 'vitest';
import { SqlSyntaxError } from '../../src';
import { foldName, isName, quoteName, tokenize } from '../../src/sql/tokens';

/** Tokens as `kind:value`. */
const shown = (sql: string): string =>
  tokenize(sql)
    .map(({ kind, value }) => `${kind}:${value}`)
    .join(' ');

describe('tokenize', () => {
  it.each<[string, string]>([
    ['', ''],
    ['  \t\r\n\f ', ''],
    ['SELECT a', 'word:select word:a'],
    ['"Select" `A``b` [c]]', 'name:Select name:A`b name:c error'],
    ['"a""b" [a"b] `c]d`', 'name:a"b name:a"b name:c]d'],
    ["'it''s' ''", "string:it's string:"],
    ["x'00FF' X'' xy 'x'", 'blob:00FF blob: word:xy string:x'],
    [
      '1 1.5 .5 1. 1e5 1.5E-3 0xFF 1_000',
      'number:1 number:1.5 number:.5 number:1. number:1e5 number:1.5E-3 number:0xFF number:1000',
    ],
    ['-1 - 1', 'op:- number:1 op:- number:1'],
    ['a.b.c *', 'word:a op:. word:b op:. word:c op:*'],
    ['a->>b->c||d', 'word:a op:->> word:b op:-> word:c op:|| word:d'],
    ['<= >= <> != == = < > << >>', 'op:<= op:>= op:<> op:!= op:== op:= op:< op:> op:<< op:>>'],
    ['a--b', 'word:a'],
    ['a--b\nc', 'word:a word:c'],
    ["a -- it's\n b", 'word:a word:b'],
    ['a/*b*/c /* d', 'word:a word:c'],
    ['a/**/b/*/c*/d', 'word:a word:b word:d'],
    ["'--' \"/*\" '/* */'", 'string:-- name:/* string:/* */'],
    ['a - -b', 'word:a op:- op:- word:b'],
    ['täble _x $y é1', 'word:täble word:_x param:$y word:é1'],
    ['a$b', 'word:a$b'],
    ['😀', 'word:😀'],
  ])('%j', (sql, expected) => {
    if (expected.endsWith('error')) expect(() => tokenize(sql)).toThrow(SqlSyntaxError);
    else expect(shown(sql)).toBe(expected);
  });

  it.each<[string, number[]]>([
    ['? ? ?', [0, 1, 2]],
    ['?1 ?1 ?2', [0, 0, 1]],
    ['?3 ? ?', [2, 3, 4]],
    ['? ?1 ?', [0, 0, 1]],
    [':a ? :a @b $c', [0, 1, 0, 2, 3]],
    ['\'?\' "?" /* ? */ ? -- ?', [0]],
    ['?2 :a ?', [1, 2, 3]],
  ])('numbers parameters as SQLite does: %s', (sql, expected) => {
    expect(
      tokenize(sql)
        .filter(({ kind }) => kind === 'param')
        .map(({ param }) => param),
    ).toEqual(expected);
  });

  it('knows the partner of each parenthesis, and where each token stands', () => {
    const sql = 'a (b, (c) ")")';
    const tokens = tokenize(sql);
    expect(tokens.map(({ match }) => match)).toEqual([-1, 8, -1, -1, 6, -1, 4, -1, 1]);
    for (const { text, start, end } of tokens) expect(sql.slice(start, end)).toBe(text);
  });

  it.each([
    "'",
    '"a',
    '`',
    '[a',
    "x'0",
    '(',
    ')',
    '(]',
    '((a)',
    'a)',
    '?0',
    '1a',
    '12.5x',
    '{',
    '\\',
    'a ! b',
    '#',
    ':',
    '\u0000',
  ])('refuses %j', (sql) => {
    expect(() => tokenize(sql)).toThrow(SqlSyntaxError);
    expect(() => tokenize(sql)).toThrow(expect.objectContaining({ code: 'SQL_SYNTAX', sql }));
  });
});

describe('names', () => {
  it('are compared without the case of ASCII letters', () => {
    expect(foldName('Users_ÄÖ')).toBe('users_ÄÖ');
    expect(foldName('\u212a')).toBe('\u212a');
  });

  it('are quoted so that they read back', () => {
    for (const name of ['a', 'a"b', '"', 'select', 'a]b`c', '']) expect(tokenize(quoteName(name))[0]?.value).toBe(name);
  });

  it('may be words, quoted names and strings, nothing else', () => {
    expect(tokenize("a \"b\" 'c' [d] 1 ? x'00' +").map(isName)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});
