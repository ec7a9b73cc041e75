import { SqlSyntaxError, UnsupportedStatementError } from '../errors';
import type { Assignment, Cte, Insert, Modification, OnConflict, Other, Parsed, Range, Source, Statement } from './ast';
import { parseOrderBy } from './parse-order';
import {
  beginsSelect,
  isFromWord,
  NO_SOURCES,
  parseAlias,
  parseFrom,
  parseIndexHint,
  parseResultColumns,
  parseSelect,
  parseTableName,
  parseWith,
} from './parse-select';
import { Reader, splitCommas } from './reader';
import { isName, isOp, isWord, type Token, tokenize } from './tokens';

const DDL = new Set(['create', 'drop', 'alter', 'reindex', 'analyze']);
const TRANSACTION = new Set(['begin', 'commit', 'end', 'rollback', 'savepoint', 'release']);

/**
 * Reads the clauses of one SQL statement. Expressions stay token ranges; `conditions.ts` reads what it can of them.
 *
 * @throws SqlSyntaxError when the text is not well-formed, UnsupportedStatementError for several statements in one text.
 */
export function parse(sql: string): Parsed {
  const tokens = tokenize(sql);
  checkDots(sql, tokens);
  const paramCount = tokens.reduce((most, token) => Math.max(most, token.param + 1), 0);
  return { sql, tokens, statement: parseStatement(sql, tokens), paramCount };
}

/** A dot stands between names, or before a star. */
function checkDots(sql: string, tokens: readonly Token[]): void {
  const lone = tokens.find((token, i) => {
    const next = tokens[i + 1];
    return isOp(token, '.') && !(isName(tokens[i - 1]) && (isName(next) || isOp(next, '*')));
  });
  if (lone) throw new SqlSyntaxError(`A dot without a name: ${sql.slice(lone.start, lone.start + 60)}`, { sql });
}

function parseStatement(sql: string, tokens: readonly Token[]): Statement {
  let to = tokens.length;
  while (to > 0 && isOp(tokens[to - 1], ';')) to--;
  const reader = new Reader(sql, tokens, { from: 0, to });
  const other = parseOther(reader);
  // D1 would run them all, wherever the first one goes.
  if (other && holdsSeveral(reader)) throw several(sql);
  if (other) return other;
  const statement = parseRows(reader);
  if (!reader.done) {
    if (isOp(reader.peek(), ';')) throw several(sql);
    reader.fail('the end of the statement');
  }
  return statement;
}

const several = (sql: string): UnsupportedStatementError =>
  new UnsupportedStatementError('One text holds several statements.', {
    sql,
    remedy: 'Prepare each by itself, or run them as a batch.',
  });

/** Does a statement end before the text does? Those of a trigger's body do not count: it ends at an END that is no CASE's. */
function holdsSeveral({ tokens, range }: Reader): boolean {
  const isTrigger = isWord(tokens[0], 'create') && [1, 2].some((at) => isWord(tokens[at], 'trigger'));
  let cases = 0;
  for (let i = range.from; i < range.to; i++) {
    const token = tokens[i] as Token;
    if (isOp(token, '(')) i = token.match;
    else if (isWord(token, 'case')) cases++;
    else if (isOp(token, ';') && !isTrigger) return true;
    else if (isWord(token, 'end') && isTrigger && cases-- === 0) return i + 1 < range.to;
  }
  return false;
}

function parseOther(reader: Reader): Other | undefined {
  const first = reader.peek();
  const range = reader.range;
  if (!first) return { kind: 'empty', verb: '', range };
  const verb = first.kind === 'word' ? first.value : '';
  const second = reader.peek(1)?.kind === 'word' ? reader.peek(1)?.value : '';
  if (DDL.has(verb)) return { kind: 'ddl', verb: `${verb} ${second}`.trim(), range };
  if (TRANSACTION.has(verb)) return { kind: 'transaction', verb, range };
  if (verb === 'pragma' || verb === 'explain') return { kind: verb, verb, range };
  if (['select', 'values', 'with', 'insert', 'replace', 'update', 'delete'].includes(verb)) return undefined;
  return { kind: 'unknown', verb, range };
}

function parseRows(reader: Reader): Statement {
  const start = reader.at;
  const { ctes, recursive } = parseWith(reader);
  if (reader.sees('insert') || reader.sees('replace')) return parseInsert(reader, start, ctes, recursive);
  if (reader.sees('update')) return parseUpdate(reader, start, ctes, recursive);
  if (reader.sees('delete')) return parseDelete(reader, start, ctes, recursive);
  reader.at = start;
  return parseSelect(reader);
}

function parseTarget(reader: Reader): Source {
  const hints: Range[] = [];
  const named = parseTableName(reader, hints);
  const alias = parseAlias(reader);
  parseIndexHint(reader, hints);
  const base = { join: 'first', on: undefined, using: [], natural: false, select: undefined, args: undefined } as const;
  return { ...base, ...named, kind: 'table', alias: alias ?? named.name, aliased: alias !== undefined, hints };
}

function parseInsert(reader: Reader, start: number, ctes: Cte[], recursive: boolean): Insert {
  const verb = reader.at;
  const replace = reader.sees('replace');
  reader.at++;
  const conflictAction = replace ? 'replace' : reader.take('or') ? reader.name().toLowerCase() : undefined;
  if (!reader.take('into')) reader.fail('INTO');
  const target = parseTarget(reader);
  const columnsFrom = reader.at;
  const columns = isOp(reader.peek(), '(') ? reader.names() : undefined;
  const columnsRange = { from: columnsFrom, to: reader.at };
  let rows: Insert['rows'];
  let select: Insert['select'];
  let defaultValues = false;
  if (reader.take('default', 'values')) defaultValues = true;
  else if (reader.take('values')) {
    const list = reader.until((r) => r.sees('on', 'conflict') || r.sees('returning'));
    rows = splitCommas(reader.tokens, list).map((row) => {
      if (!isOp(reader.tokens[row.from], '(')) reader.fail('a row of values');
      return { range: row, values: splitCommas(reader.tokens, { from: row.from + 1, to: row.to - 1 }) };
    });
  } else if (beginsSelect(reader.peek())) select = parseSelect(reader);
  else reader.fail('VALUES, SELECT or DEFAULT VALUES');
  const onConflict: OnConflict[] = [];
  while (reader.take('on', 'conflict')) onConflict.push(parseOnConflict(reader));
  return {
    kind: 'insert',
    verb,
    ctes,
    recursive,
    conflictAction,
    target,
    columns,
    columnsRange,
    rows,
    select,
    defaultValues,
    onConflict,
    ...parseReturning(reader),
    range: { from: start, to: reader.at },
  };
}

function parseOnConflict(reader: Reader): OnConflict {
  let target: string[] | undefined;
  if (isOp(reader.peek(), '(')) {
    target = reader.names();
    if (reader.take('where')) reader.until((r) => r.sees('do'));
  }
  if (!reader.take('do')) reader.fail('DO');
  if (reader.take('nothing')) return { target, update: undefined, where: undefined };
  if (!reader.take('update', 'set')) reader.fail('NOTHING or UPDATE SET');
  const stop = (r: Reader) => r.sees('where') || r.sees('on', 'conflict') || r.sees('returning');
  const update = parseAssignments(reader, reader.until(stop));
  const where = reader.take('where') ? reader.until((r) => r.sees('on', 'conflict') || r.sees('returning')) : undefined;
  return { target, update, where };
}

function parseAssignments(reader: Reader, range: Range): Assignment[] {
  return splitCommas(reader.tokens, range).map((part) => {
    const one = new Reader(reader.sql, reader.tokens, part);
    const columns = isOp(one.peek(), '(') ? one.names() : [one.name()];
    if (!one.takeOp('=')) one.fail('=');
    return { columns, value: { from: one.at, to: part.to } };
  });
}

function parseReturning(reader: Reader): Pick<Insert, 'returning' | 'returningRange'> {
  const from = reader.at;
  if (!reader.take('returning')) return { returning: undefined, returningRange: undefined };
  const list = reader.until((r) => r.sees('order', 'by') || r.sees('limit') || isOp(r.peek(), ';'));
  return { returning: parseResultColumns(reader, list), returningRange: { from, to: reader.at } };
}

const endOfWriteClause = (r: Reader): boolean =>
  r.sees('where') || r.sees('returning') || r.sees('order', 'by') || r.sees('limit') || isOp(r.peek(), ';');

function parseUpdate(reader: Reader, start: number, ctes: Cte[], recursive: boolean): Modification {
  const verb = reader.at++;
  const conflictAction = reader.take('or') ? reader.name().toLowerCase() : undefined;
  const target = parseTarget(reader);
  if (!reader.take('set')) reader.fail('SET');
  const set = parseAssignments(
    reader,
    reader.until((r) => isFromWord(r) || endOfWriteClause(r)),
  );
  const hasFrom = reader.take('from');
  const fromAt = reader.at;
  const sources = hasFrom ? parseFrom(reader) : NO_SOURCES;
  const fromRange = hasFrom ? { from: fromAt, to: reader.at } : undefined;
  const head = { kind: 'update', verb, ctes, recursive, conflictAction, target, set, fromRange } as const;
  return { ...head, ...sources, ...parseWriteEnd(reader, start) };
}

function parseDelete(reader: Reader, start: number, ctes: Cte[], recursive: boolean): Modification {
  const verb = reader.at++;
  if (!reader.take('from')) reader.fail('FROM');
  const target = parseTarget(reader);
  const none = { conflictAction: undefined, set: [], fromRange: undefined, ...NO_SOURCES };
  return { kind: 'delete', verb, ctes, recursive, target, ...none, ...parseWriteEnd(reader, start) };
}

function parseWriteEnd(reader: Reader, start: number) {
  const whereFrom = reader.at;
  const where = reader.take('where') ? reader.until(endOfWriteClause) : undefined;
  const whereClause = where && { from: whereFrom, to: reader.at };
  // SQLite wants RETURNING before ORDER BY and LIMIT; Drizzle writes it last. Both are read.
  let returning = parseReturning(reader);
  const tailFrom = reader.at;
  const orderBy = parseOrderBy(reader);
  const limitFrom = reader.at;
  const hasLimit = reader.take('limit');
  if (hasLimit) reader.until((r) => r.sees('returning') || isOp(r.peek(), ';'));
  const limitClause = hasLimit ? { from: limitFrom, to: reader.at } : undefined;
  const tail = reader.at > tailFrom ? { from: tailFrom, to: reader.at } : undefined;
  if (!returning.returning) returning = parseReturning(reader);
  return { where, whereClause, ...returning, orderBy, limitClause, tail, range: { from: start, to: reader.at } };
}

/** Splits a script into statements, one line each, as D1's `exec()` does, and at `;` where the line is no trigger. */
export function splitScript(script: string): string[] {
  const statements: string[] = [];
  for (const line of script.split('\n')) {
    const tokens = tokenize(line);
    const trigger = isWord(tokens[0], 'create') && tokens.slice(0, 4).some((token) => isWord(token, 'trigger'));
    let from = 0;
    for (const token of tokens) {
      if (trigger || !isOp(token, ';')) continue;
      statements.push(line.slice(from, token.start));
      from = token.end;
    }
    statements.push(line.slice(from));
  }
  return statements.filter((statement) => tokenize(statement).length > 0);
}
