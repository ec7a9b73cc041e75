import type { Core, Cte, JoinKind, Range, ResultColumn, Select, Source } from './ast';
import { parseLimit, parseOrderBy } from './parse-order';
import { Reader, splitCommas } from './reader';
import { isName, isOp, isWord, type Token } from './tokens';

const COMPOUND = ['union', 'intersect', 'except'];
const JOIN_WORDS = ['natural', 'left', 'right', 'full', 'inner', 'cross', 'join'];
/** Words that end an expression, so that the word after them is no alias: `a and b`, `x is null`. */
const OPERATOR_WORDS = new Set(
  'and or not is in like glob regexp match between collate escape when then else case distinct from isnull notnull'.split(
    ' ',
  ),
);

/** Does a (sub)select begin at this token? */
export const beginsSelect = (token: Token | undefined): boolean =>
  isWord(token, 'select') || isWord(token, 'values') || isWord(token, 'with');

/** Reads `[WITH ...] SELECT ... [UNION ...] [ORDER BY ...] [LIMIT ...]`, leaving the cursor behind it. */
export function parseSelect(reader: Reader): Select {
  const from = reader.at;
  const { ctes, recursive } = parseWith(reader);
  const cores: Core[] = [parseCore(reader)];
  while (COMPOUND.some((word) => reader.sees(word))) {
    reader.at++;
    reader.take('all');
    cores.push(parseCore(reader));
  }
  const orderBy = parseOrderBy(reader);
  const limit = parseLimit(reader);
  return { kind: 'select', ctes, recursive, cores, orderBy, ...limit, range: { from, to: reader.at } };
}

export function parseWith(reader: Reader): { ctes: Cte[]; recursive: boolean } {
  if (!reader.take('with')) return { ctes: [], recursive: false };
  const recursive = reader.take('recursive');
  const ctes: Cte[] = [];
  do {
    const name = reader.name();
    const columns = isOp(reader.peek(), '(') ? reader.names() : [];
    if (!reader.take('as')) reader.fail('AS');
    if (!reader.take('materialized')) reader.take('not', 'materialized');
    const body = new Reader(reader.sql, reader.tokens, reader.parens());
    ctes.push({ name, columns, select: beginsSelect(body.peek()) ? parseWhole(body) : undefined });
  } while (reader.takeOp(','));
  return { ctes, recursive };
}

/** Reads a select that must fill the whole range. */
export function parseWhole(reader: Reader): Select {
  const select = parseSelect(reader);
  if (!reader.done) reader.fail('the end of the SELECT');
  return select;
}

/** A core in which nothing is written; others are made from it. */
export const EMPTY_CORE: Core = {
  distinct: false,
  columns: [],
  from: [],
  opaqueFrom: false,
  groupConditions: [],
  values: [],
  where: undefined,
  groupBy: [],
  having: undefined,
  window: undefined,
  columnsEnd: 0,
  range: { from: 0, to: 0 },
};

function parseCore(reader: Reader): Core {
  const from = reader.at;
  if (reader.take('values')) {
    const values = splitCommas(reader.tokens, reader.until(endOfCore));
    const first = values[0] ?? reader.fail('a row');
    const columns = splitCommas(reader.tokens, { from: first.from + 1, to: first.to - 1 });
    return {
      ...EMPTY_CORE,
      columns: columns.map((expr) => ({ expr, alias: undefined, star: undefined })),
      values,
      columnsEnd: reader.at,
      range: { from, to: reader.at },
    };
  }
  if (!reader.take('select')) reader.fail('SELECT');
  const distinct = reader.take('distinct');
  if (!distinct) reader.take('all');
  const columns = parseResultColumns(
    reader,
    reader.until((r) => isFromWord(r) || endOfClause(r)),
  );
  const columnsEnd = reader.at;
  const sources = reader.take('from') ? parseFrom(reader) : NO_SOURCES;
  const where = reader.take('where') ? reader.until(endOfClause) : undefined;
  const groupBy = reader.take('group', 'by') ? splitCommas(reader.tokens, reader.until(endOfClause)) : [];
  const having = reader.take('having') ? reader.until(endOfClause) : undefined;
  const window = isWindowClause(reader) ? reader.until((r) => endOfCore(r)) : undefined;
  const range = { from, to: reader.at };
  return { ...EMPTY_CORE, distinct, columns, ...sources, where, groupBy, having, window, columnsEnd, range };
}

/** FROM, but not the one of `IS [NOT] DISTINCT FROM`. */
export const isFromWord = (r: Reader): boolean => {
  if (!r.sees('from')) return false;
  const before = r.tokens[r.at - 1];
  const earlier = r.tokens[r.at - 2];
  return !(isWord(before, 'distinct') && (isWord(earlier, 'is') || isWord(earlier, 'not')));
};

const isWindowClause = (r: Reader): boolean => r.sees('window') && isName(r.peek(1)) && isWord(r.peek(2), 'as');

const endOfCore = (r: Reader): boolean =>
  COMPOUND.some((word) => r.sees(word)) ||
  r.sees('order', 'by') ||
  r.sees('limit') ||
  r.sees('on', 'conflict') ||
  isOp(r.peek(), ';');

const endOfClause = (r: Reader): boolean =>
  endOfCore(r) ||
  r.sees('where') ||
  r.sees('group', 'by') ||
  r.sees('having') ||
  r.sees('returning') ||
  isWindowClause(r);

export function parseResultColumns(reader: Reader, range: Range): ResultColumn[] {
  const { tokens } = reader;
  return splitCommas(tokens, range).map((item): ResultColumn => {
    if (item.from === item.to) reader.fail('a column');
    const last = tokens[item.to - 1];
    const before = tokens[item.to - 2];
    if (isOp(last, '*') && (item.to - item.from === 1 || isOp(before, '.'))) {
      const star = item.to - item.from === 1 ? '' : (tokens[item.to - 3]?.value ?? '');
      return { expr: item, alias: undefined, star };
    }
    const size = item.to - item.from;
    if (size >= 3 && isWord(before, 'as') && isName(last)) {
      return { expr: { from: item.from, to: item.to - 2 }, alias: last?.value, star: undefined };
    }
    if (
      size >= 2 &&
      isName(last) &&
      endsOperand(before) &&
      !(last?.kind === 'word' && OPERATOR_WORDS.has(last.value)) &&
      !isWord(last, 'end') &&
      !isWord(last, 'null')
    ) {
      return { expr: { from: item.from, to: item.to - 1 }, alias: last?.value, star: undefined };
    }
    return { expr: item, alias: undefined, star: undefined };
  });
}

const endsOperand = (token: Token | undefined): boolean =>
  token !== undefined &&
  (token.kind === 'op' ? token.value === ')' : !(token.kind === 'word' && OPERATOR_WORDS.has(token.value)));

/** What FROM names. */
export type Sources = Pick<Core, 'from' | 'opaqueFrom' | 'groupConditions'>;

export const NO_SOURCES: Sources = { from: [], opaqueFrom: false, groupConditions: [] };

/** Reads the items of a FROM clause up to the next clause. */
export function parseFrom(reader: Reader): Sources {
  const inner = new Reader(reader.sql, reader.tokens, reader.until(endOfClause));
  const from: Source[] = [];
  const groupConditions: Range[] = [];
  let opaqueFrom = false;
  let kind: JoinKind = 'first';
  let natural = false;
  for (;;) {
    if (isOp(inner.peek(), '(') && !beginsSelect(inner.peek(1))) {
      const group = parseFrom(new Reader(reader.sql, reader.tokens, inner.parens()));
      parseAlias(inner);
      const { on } = readJoinCondition(inner);
      from.push(...group.from);
      groupConditions.push(...group.groupConditions, ...(on ? [on] : []));
      opaqueFrom = true;
    } else from.push(parseSource(inner, kind, natural));
    if (inner.done) return { from, opaqueFrom, groupConditions };
    const join = parseJoinOperator(inner);
    kind = join.kind;
    natural = join.natural;
  }
}

function parseJoinOperator(reader: Reader): { kind: JoinKind; natural: boolean } {
  if (reader.takeOp(',')) return { kind: 'inner', natural: false };
  const natural = reader.take('natural');
  let kind: JoinKind = 'inner';
  if (reader.take('left')) kind = 'left';
  else if (reader.take('right')) kind = 'right';
  else if (reader.take('full')) kind = 'full';
  else if (!reader.take('inner')) reader.take('cross');
  reader.take('outer');
  if (!reader.take('join')) reader.fail('JOIN');
  return { kind, natural };
}

const isJoin = (r: Reader): boolean =>
  isOp(r.peek(), ',') ||
  r.sees('join') ||
  (JOIN_WORDS.some((word) => r.sees(word)) && [1, 2, 3].some((n) => isWord(r.peek(n), 'join')));

function readJoinCondition(reader: Reader): { on: Range | undefined; using: string[] } {
  if (reader.take('on')) return { on: reader.until(isJoin), using: [] };
  if (reader.take('using')) return { on: undefined, using: reader.names() };
  return { on: undefined, using: [] };
}

function parseSource(reader: Reader, join: JoinKind, natural: boolean): Source {
  const common = { schema: undefined, nameAt: reader.at, join, natural, hints: [], args: undefined };
  if (isOp(reader.peek(), '(')) {
    const body = new Reader(reader.sql, reader.tokens, reader.parens());
    const select = parseWhole(body);
    const alias = parseAlias(reader);
    const names = { name: '', alias: alias ?? '', aliased: alias !== undefined };
    return { ...common, kind: 'subquery', ...names, select, ...readJoinCondition(reader) };
  }
  const hints: Range[] = [];
  const named = { ...common, ...parseTableName(reader, hints), select: undefined };
  const args = isOp(reader.peek(), '(') ? reader.parens() : undefined;
  const alias = parseAlias(reader);
  const aliases = { alias: alias ?? named.name, aliased: alias !== undefined };
  if (args) return { ...named, ...aliases, kind: 'function', args, ...readJoinCondition(reader) };
  parseIndexHint(reader, hints);
  return { ...named, ...aliases, kind: 'table', hints, ...readJoinCondition(reader) };
}

/** `[schema .] name`; the tokens of `schema .` go to `hints`. */
export function parseTableName(
  reader: Reader,
  hints: Range[],
): { name: string; nameAt: number; schema: string | undefined } {
  const from = reader.at;
  const first = reader.name();
  if (!reader.takeOp('.')) return { name: first, nameAt: from, schema: undefined };
  hints.push({ from, to: reader.at });
  return { name: reader.name(), nameAt: from + 2, schema: first };
}

export function parseIndexHint(reader: Reader, hints: Range[]): void {
  const from = reader.at;
  if (reader.take('indexed', 'by')) reader.name();
  else if (!reader.take('not', 'indexed')) return;
  hints.push({ from, to: reader.at });
}

const NO_ALIAS = new Set([
  ...JOIN_WORDS,
  'on',
  'using',
  'indexed',
  'not',
  'set',
  'where',
  'values',
  'default',
  'returning',
  'order',
  'limit',
  'select',
  'with',
]);

export function parseAlias(reader: Reader): string | undefined {
  if (reader.take('as')) return reader.name();
  const token = reader.peek();
  if (!isName(token) || (token?.kind === 'word' && NO_ALIAS.has(token.value))) return undefined;
  return reader.name();
}
