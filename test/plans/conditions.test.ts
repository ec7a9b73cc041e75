import { describe, expect, it } from 'vitest';
import type { Range } from '../../src/sql/ast';
import { conjunctsOf, type Leaf, readLeaf, splitCondition } from '../../src/sql/conditions';
import { type Token, tokenize } from '../../src/sql/tokens';

const whole = (tokens: readonly Token[]): Range => ({ from: 0, to: tokens.length });
const textOf = (sql: string, tokens: readonly Token[], { from, to }: Range): string =>
  sql.slice(tokens[from]?.start, tokens[to - 1]?.end);

describe('splitCondition', () => {
  it.each<[string, 'or' | 'and', string[]]>([
    ['a', 'or', ['a']],
    ['a or b or c', 'or', ['a', 'b', 'c']],
    ['a and b or c and d', 'or', ['a and b', 'c and d']],
    ['a and b or c and d', 'and', ['a', 'b or c', 'd']],
    ['(a or b) and c', 'or', ['(a or b) and c']],
    ['(a or b) and c', 'and', ['(a or b)', 'c']],
    ['((a or b))', 'or', ['a', 'b']],
    ['(a) or (b)', 'or', ['(a)', '(b)']],
    ['x between 1 and 2 and y', 'and', ['x between 1 and 2', 'y']],
    ['x not between 1 and 2 and y between 3 and 4', 'and', ['x not between 1 and 2', 'y between 3 and 4']],
    ['x between y between 1 and 2 and 3 and z', 'and', ['x between y between 1 and 2 and 3', 'z']],
    ['case when a and b or c then d and e end and f', 'and', ['case when a and b or c then d and e end', 'f']],
    [
      'case a when b then case when c or d then e end end or f',
      'or',
      ['case a when b then case when c or d then e end end', 'f'],
    ],
    ['not a and b', 'and', ['not a', 'b']],
    ['not a or b', 'or', ['not a', 'b']],
    ['"or" or [and]', 'or', ['"or"', '[and]']],
    ["a = 'or' or b", 'or', ["a = 'or'", 'b']],
    ['a in (select b or c) or d', 'or', ['a in (select b or c)', 'd']],
    ['(select a or b)', 'or', ['(select a or b)']],
    ['a OR b Or c', 'or', ['a', 'b', 'c']],
    ['a or/**/b', 'or', ['a', 'b']],
  ])('%s at %s', (sql, word, expected) => {
    const tokens = tokenize(sql);
    expect(splitCondition(tokens, whole(tokens), word).map((part) => textOf(sql, tokens, part))).toEqual(expected);
  });
});

describe('conjunctsOf', () => {
  it.each<[string, string[]]>([
    ['a', ['a']],
    ['(((a)))', ['a']],
    ['(a and b) and (c and (d or e))', ['a', 'b', 'c', 'd or e']],
    ['a and b or c', ['a and b or c']],
    ['(a and b or c)', ['a and b or c']],
    ['x between 1 and 2', ['x between 1 and 2']],
    ['not (a and b)', ['not (a and b)']],
    ['(a and b) = c', ['(a and b) = c']],
    ['a and (select b and c)', ['a', '(select b and c)']],
  ])('%s', (sql, expected) => {
    const tokens = tokenize(sql);
    expect(conjunctsOf(tokens, whole(tokens)).map((part) => textOf(sql, tokens, part))).toEqual(expected);
  });
});

describe('readLeaf', () => {
  const values = (leaf: Leaf): string =>
    leaf.kind === 'equal'
      ? JSON.stringify(leaf.value, bigints)
      : leaf.kind === 'in'
        ? leaf.values.map((value) => JSON.stringify(value, bigints)).join()
        : '';
  const bigints = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
  const literal = (value: unknown) => JSON.stringify({ kind: 'literal', value });
  const param = (index: number) => JSON.stringify({ kind: 'param', index });

  const read = (sql: string): string | undefined => {
    const tokens = tokenize(sql);
    const leaf = readLeaf(tokens, whole(tokens));
    if (!leaf || leaf.kind === 'false') return leaf?.kind;
    const ranges =
      leaf.kind === 'columns'
        ? [leaf.left, leaf.right]
        : leaf.kind === 'in-select'
          ? [leaf.column, leaf.select]
          : [leaf.column];
    return [leaf.kind, ...ranges.map((range) => textOf(sql, tokens, range)), values(leaf)].filter(Boolean).join(' | ');
  };

  it.each<[string, string]>([
    ['id = ?', `equal | id | ${param(0)}`],
    ['? = id', `equal | id | ${param(0)}`],
    ['((u.id == ?2))', `equal | u.id | ${param(1)}`],
    ['main.users."id" = :a', `equal | main.users."id" | ${param(0)}`],
    ["[id] = 'x'", `equal | [id] | ${literal('x')}`],
    ['(id) = ((?))', `equal | id | ${param(0)}`],
    ["(id) in (('a'), ?)", `in | id | ${literal('a')},${param(0)}`],
    ['id = -5', `equal | id | ${literal(-5)}`],
    ['5 = id', `equal | id | ${literal(5)}`],
    ['- 5 = id', `equal | id | ${literal(-5)}`],
    ['id = 1.5', `equal | id | ${literal(1.5)}`],
    ['id = 0x10', `equal | id | ${literal(16)}`],
    ['id = 9007199254740993', `equal | id | ${literal('9007199254740993n')}`],
    ['id = -9007199254740993', `equal | id | ${literal('-9007199254740993n')}`],
    ['id = null', `equal | id | ${literal(null)}`],
    ['id in (?, ?, 5)', `in | id | ${param(0)},${param(1)},${literal(5)}`],
    ['id in (null)', `in | id | ${literal(null)}`],
    ['id in ()', 'in | id'],
    ['id in (select value from json_each(?))', `in | id | ${JSON.stringify({ kind: 'json', index: 0 })}`],
    ['a.id = b.id', 'columns | a.id | b.id'],
    ['id = other', 'columns | id | other'],
    ['id in (select x from t where y)', 'in-select | id | select x from t where y'],
    ["id in (values ('a'))", "in-select | id | values ('a')"],
    ['id in (select value from json_each(?) where 1)', 'in-select | id | select value from json_each(?) where 1'],
    ['false', 'false'],
    ['0', 'false'],
    ['(0.0)', 'false'],
    ['"end" = ?', `equal | "end" | ${param(0)}`],
  ])('%s', (sql, expected) => expect(read(sql)).toBe(expected));

  it.each([
    'id',
    'id <> ?',
    'id > ?',
    'id is ?',
    'id is not distinct from ?',
    'not id = ?',
    'id not in (?)',
    'id between ? and ?',
    'id like ?',
    'id = ? collate nocase',
    'id collate nocase = ?',
    '? collate nocase = id',
    '+id = ?',
    '-id = ?',
    'id = +5',
    'id = - - 5',
    'id = ? + 1',
    'id + 1 = ?',
    "id || 'x' = ?",
    'lower(id) = ?',
    'id = lower(?)',
    'id(1) = ?',
    'cast(id as text) = ?',
    'case when id = ? then 1 end',
    'id = ? = 1',
    '1 = id = ?',
    '(id = ?) = 1',
    '(id, x) = (?, ?)',
    'id = (select 1)',
    '(select 1) = id',
    'id in (?, lower(?))',
    'id in (?) = 1',
    'id in (?) collate nocase',
    'id in ((?, ?))',
    'id in tablename',
    "id = x'00'",
    'id = current_date',
    'null = null',
    'true',
    '1',
    "''",
    '? = ?',
    'exists (select 1)',
    'id isnull',
    'id -> ? = 1',
    'id = ? escape 1',
    'id = -x',
    'id = true',
  ])('%s says nothing', (sql) => {
    const leaf = read(sql);
    expect(leaf?.startsWith('columns') ? undefined : leaf).toBeUndefined();
  });
});
