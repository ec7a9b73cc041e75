import { tokenize } from '../../src/sql/tokens';
import type { Random } from '../support/random';
import { NAMES } from './fuzz-fixture';

/** A text with the values that it binds. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly unknown[];
}

const PIECES =
  `select insert update delete replace with recursive values default from where group by having order limit offset union all intersect except
  join left right full outer natural cross using on as and or not is null in like between case when then else end exists distinct returning
  conflict do nothing set into materialized cast collate over partition filter rowid create table begin explain pragma indexed
  users posts orders id user_id name age main excluded u p x y ( ) ( ) ( ) , , . ; * + - / % = == <> < >= || -> ->> ~ & count(*) max(age)
  'u1' 'it''s' '' "users" "u1" [users] [a] \`users\` \`b\` ? ?1 ?5 ?0 ?007 :a @a $a $a::b :a(1) # ! { \\ ' " [ \` x'00' x'0 X'' 0x1f 1e5 1_000
  .5 1. 1e 12abc -1 9223372036854775808 -- /* */ /*c*/ --c\n \u0000 \ufeff \u00a0 \u212a é 😀 \ud800 \u200b \t \r \f \v`
    .split(/ +|\n +/)
    .concat(['--c\n', '\n', ' ']);

/** Anything at all. */
export function soup(random: Random): string {
  const between = random.pick(['', ' ', ' ', ' ', '/**/', '\n']);
  return Array.from({ length: random.below(25) }, () => random.pick(PIECES)).join(between);
}

const textsOf = (sql: string): string[] => tokenize(sql).map(({ text }) => text);

/** One to three changes to a statement: tokens left out, doubled, exchanged, put in, or taken from another one. */
export function mutated(random: Random, { sql, params }: Statement, others: readonly Statement[]): Statement {
  const texts = textsOf(sql);
  for (let left = random.pick([1, 1, 1, 2, 3]); left > 0; left--) {
    const at = random.below(texts.length);
    const other = random.below(texts.length);
    const foreign = () => random.pick(textsOf(random.pick(others).sql));
    switch (random.below(8)) {
      case 0:
        texts.splice(at, 1);
        break;
      case 1:
        texts.splice(at, 0, texts[at] ?? '');
        break;
      case 2:
        [texts[at], texts[other]] = [texts[other] ?? '', texts[at] ?? ''];
        break;
      case 3:
        texts.splice(at, 1 + random.below(4));
        break;
      case 4:
        texts.splice(
          at,
          0,
          random.pick([
            '(',
            ')',
            'not',
            'or',
            'and',
            '1',
            'id',
            '=',
            "'u1'",
            ',',
            ';',
            '-- c\n',
            '/* ; */',
            '--',
            '/*',
          ]),
        );
        break;
      case 5:
        texts[at] = foreign();
        break;
      case 6:
        texts.splice(at, 0, foreign());
        break;
      default:
        texts[at] = random.pick([
          'or',
          'and',
          'id',
          'user_id',
          "'u2'",
          '<>',
          '=',
          'users',
          'posts',
          'is',
          'in',
          'left',
          'distinct',
          'null',
          '0',
          '1',
        ]);
    }
  }
  const text = texts.join(random.pick([' ', ' ', '\n', ' /* ( */ ']));
  return { sql: text, params: valuesFor(text, params) };
}

/** As many values as the text has parameters. */
function valuesFor(sql: string, params: readonly unknown[]): unknown[] {
  try {
    const count = tokenize(sql).reduce((most, { param }) => Math.max(most, param + 1), 0);
    return Array.from({ length: Math.min(count, 100) }, (_, i) => params[i] ?? 'u1');
  } catch {
    return [...params];
  }
}

const GAPS = [' ', '  ', '\n', '\t', ' /* or 1 ; */ ', " -- it's (\n", ' /**/ ', '\r\n'];

/** The same statement in other words: space, comments, case, quotes and parentheses that mean nothing. */
export function rewritten(random: Random, sql: string): string {
  const tokens = tokenize(sql);
  const gaps = random.pick([GAPS, [' '], ['\n']]);
  return tokens
    .map((token, i) => {
      const gap = i === 0 ? '' : random.pick(gaps);
      const before = tokens[i - 1]?.text;
      const isNamed = token.kind === 'word' && NAMES.has(token.value) && tokens[i + 1]?.text !== '(';
      const quotes = random.pick([undefined, '""', '[]', '``']);
      if (isNamed && quotes) return `${gap}${quotes[0]}${token.text}${quotes[1]}`;
      if (token.kind === 'word')
        return gap + random.pick([token.text, token.text.toUpperCase(), token.text.toLowerCase()]);
      const isValue = ['param', 'string', 'number'].includes(token.kind) && (before === '=' || before === '==');
      return gap + (isValue && random.below(2) === 0 ? `((${token.text}))` : token.text);
    })
    .join('');
}
