import { UnsupportedStatementError } from '../errors';
import { type Column, findColumn, type Table } from '../layout/table';
import type { Parsed, Range } from '../sql/ast';
import { readLeaf, readValue, type ValueRef } from '../sql/conditions';
import { MAX_PARAMS, SqlWriter } from '../sql/template';
import { foldName, isName, isOp, isWord, quoteName, type Token } from '../sql/tokens';
import type { Binder } from './bind';
import { type Link, type Mention, mentionsOf, surely, type Top } from './mentions';
import type { GatherLink, GatherStep, GatherTable, GatherTop } from './plan';
import { reachesOf } from './reach';
import { resolveRange, type TableRef } from './scope';
import { arrange, type Fetch, reachesKeys } from './semi-join';
import { type Wanted, writeFetch } from './write-fetch';

/** A statement that names more tables than this is not taken apart by mentions: each would take a parameter or more. */
const MAX_MENTIONS = 20;

/**
 * Plans to fetch the rows that a statement needs from every shard and to run it untouched on one, with CTEs in the place of
 * the tables: those rows that are confined most first, then those that these name.
 */
export function planGather(parsed: Parsed, binder: Binder): GatherStep {
  const mentions = mentionsOf(binder);
  const step = planMentions(mentions, parsed, binder);
  if (!step.tables.some(({ top }) => top?.hopeful)) return step;
  return { ...step, otherwise: planMentions(surely(mentions), parsed, binder) };
}

function planMentions(mentions: readonly Mention[], parsed: Parsed, binder: Binder): GatherStep {
  const { tokens, statement } = parsed;
  const apart = planTables(mentions.length > MAX_MENTIONS ? [] : arrange(mentions, tokens), mentions, parsed, binder);
  const columns = statement.kind === 'select' ? (statement.cores[0]?.columns ?? []) : [];
  // A column without an alias is called by its text, and where there is a star nobody knows its place.
  const isNamed = ({ to, from }: Range) =>
    columns.some(({ expr, alias }) => !alias && from < expr.to && to > expr.from);
  const hasStar = columns.some(({ star }) => star !== undefined);
  const isLost = ({ replace }: Standing) =>
    hasStar && [...replace.keys()].some((at) => isNamed({ from: at, to: at + 1 }));
  const standing = isLost(apart) ? planTables([], mentions, parsed, binder) : apart;
  if (isLost(standing)) {
    throw new UnsupportedStatementError('A CTE of the statement is called like a table that it reads.', {
      sql: parsed.sql,
      remedy: 'Give the CTE another name.',
    });
  }
  const { tables, skip, replace } = standing;
  const withWords = isWord(tokens[0], 'with') ? (isWord(tokens[1], 'recursive') ? 2 : 1) : 0;
  // The rows that are fetched are bound besides, a few values.
  const compact = parsed.paramCount > MAX_PARAMS / 2;
  const copy = (range: Range) => new SqlWriter(parsed.sql, tokens).copy(range, { skip, replace, compact }).done();
  return {
    tables,
    head: copy({ from: 0, to: withWords }),
    body: copy({ from: withWords, to: statement.range.to }),
    hasWith: withWords > 0,
    // Of a list that is one value now, the text is another as well.
    renamed:
      skip.some(isNamed) ||
      [...replace.keys()].some((at) => isNamed({ from: at, to: at + 1 })) ||
      (compact && columns.some(({ alias, star }) => !alias && star === undefined)),
  };
}

/** What stands in for the tables, and how they are called in the statement then. */
interface Standing {
  readonly tables: readonly GatherTable[];
  readonly skip: readonly Range[];
  readonly replace: ReadonlyMap<number, string>;
}

function planTables(fetches: readonly Fetch[], mentions: readonly Mention[], parsed: Parsed, binder: Binder): Standing {
  const groups = groupsOf(fetches, mentions);
  const tables = writeTables(groups, parsed, binder);
  const replace = new Map<number, string>();
  for (const [i, group] of groups.entries()) {
    const { name, table } = tables[i] as GatherTable;
    if (name === table.name) continue;
    for (const { source } of group.mentions.flatMap(({ refs }) => refs)) {
      replace.set(source.nameAt, `${quoteName(name)}${source.aliased ? '' : ` as ${quoteName(source.name)}`}`);
    }
  }
  const hints = mentions.flatMap(({ refs }) => refs.flatMap((ref) => ref.source.hints));
  // `main.users` would reach behind the CTE, and a CTE has no indexes to be told of.
  return { tables, skip: [...hints, ...schemaQualifiers(parsed.tokens)], replace };
}

/** `main.` of `main.users.name`. */
const schemaQualifiers = (tokens: readonly Token[]): Range[] =>
  tokens.flatMap((token, i) =>
    foldName(token.value) === 'main' && isOp(tokens[i + 1], '.') && isOp(tokens[i + 3], '.')
      ? [{ from: i, to: i + 2 }]
      : [],
  );

/** Mentions that share their rows. */
interface Group {
  readonly mentions: readonly Mention[];
  readonly links: Fetch['links'];
  /** Which rows each of them wants. */
  readonly wanted: readonly Wanted[];
}

/** Those that are fetched by themselves, and the others by table. */
function groupsOf(fetches: readonly Fetch[], mentions: readonly Mention[]): Group[] {
  const groups = fetches.filter(({ whole }) => !whole);
  const shared = new Map<string, Mention[]>();
  for (const mention of mentions) {
    if (groups.some((one) => one.mention === mention)) continue;
    const name = foldName(mention.table.name);
    shared.set(name, [...(shared.get(name) ?? []), mention]);
  }
  return [
    ...groups.map(({ mention, links, lookups }) => ({
      mentions: [mention],
      links,
      wanted: [{ filters: mention.filters, lookups }],
    })),
    ...[...shared.values()].map((list) => ({ mentions: list, links: [], wanted: list })),
  ];
}

function writeTables(groups: readonly Group[], parsed: Parsed, binder: Binder): GatherTable[] {
  const groupOf = (fetch: Fetch) => groups.findIndex(({ mentions }) => mentions.includes(fetch.mention));
  // The columns whose values later tables are asked by, of each.
  const gives = groups.map((_, i) => {
    const columns = groups.flatMap(({ links }) =>
      links.flatMap(({ from, otherColumn }) => (groupOf(from) === i ? [otherColumn] : [])),
    );
    return [...new Set(columns)];
  });
  const taken = new Set(binder.cteNames);
  return groups.map(({ mentions, links, wanted }, i) => {
    const { table, top } = mentions[0] as Mention;
    const folded = foldName(table.name);
    const name = taken.has(folded) ? `__shard_${table.name}_${i}` : table.name;
    taken.add(folded);
    const isListed = mentions.some(({ refs }) => refs.some(({ core }) => core.core.columns.length === 0));
    const columns = isListed ? table.columns : neededColumns(parsed.tokens, table);
    const cut =
      top && mentions.length === 1 && links.length === 0 ? { ...cutOf(parsed, top), terms: top.terms } : undefined;
    const written = writeFetch(parsed, { table, columns, gives: gives[i] as Column[], cut }, wanted);
    return {
      table,
      name,
      columns,
      fetch: written.template,
      filtered: written.filtered,
      reaches: reachesOf(mentions.flatMap(({ refs }) => refs)),
      key: mentions.length === 1 && !written.cut ? unnamedKey(mentions[0] as Mention, parsed.tokens) : undefined,
      links: links.map((link): GatherLink => {
        const from = groupOf(link.from);
        return linkOf(table, link, from, (gives[from] as Column[]).indexOf(link.otherColumn));
      }),
      gives: gives[i]?.length ?? 0,
      top: written.cut ? cut : undefined,
    };
  });
}

/** The shard key, where its values are known, and not from a condition of its own. */
function unnamedKey(mention: Mention, tokens: readonly Token[]): Column | undefined {
  const { placement } = mention.table;
  if (placement.kind !== 'sharded' || !reachesKeys(mention)) return undefined;
  const [{ core }] = mention.refs;
  const isNamed = mention.filters.some((range) => {
    const leaf = readLeaf(tokens, range);
    const column = leaf?.kind === 'equal' || leaf?.kind === 'in' ? leaf.column : undefined;
    return column && resolveRange(core.scope, tokens, column)?.column === placement.key;
  });
  return isNamed ? undefined : placement.key;
}

function linkOf({ placement }: Table, { column, other, otherColumn }: Link, from: number, value: number): GatherLink {
  // Keys that are equal are of one spelling only where bytes are compared.
  const isKey = placement.kind === 'sharded' && placement.key === column && column.collation === 'BINARY';
  const keyspace = isKey ? placement.keyspace : undefined;
  return { column, keyspace, from, value, text: `${column.name} of ${other.alias}.${otherColumn.name}` };
}

/** Columns whose name stands anywhere in the statement, or all of them where there is a star. */
function neededColumns(tokens: readonly Token[], table: Table): readonly Column[] {
  if (
    tokens.some((token, i) => isOp(token, '*') && isStar(tokens[i - 1])) ||
    tokens.some((token) => isWord(token, 'natural'))
  ) {
    return table.columns;
  }
  const names = new Set(tokens.flatMap((token) => (isName(token) ? [foldName(token.value)] : [])));
  const needed = table.columns.filter((column) => names.has(foldName(column.name)));
  return needed.length > 0 ? needed : table.columns.slice(0, 1);
}

/** A star that stands for columns comes after these; elsewhere it multiplies, or is the one of count(*). */
const isStar = (before: Token | undefined): boolean =>
  ['select', 'distinct', 'all', 'returning'].some((word) => isWord(before, word)) ||
  isOp(before, ',') ||
  isOp(before, '.');

function cutOf({ tokens }: Parsed, { select, terms, hopeful }: Top): GatherTop {
  const { limit, offset } = select.select;
  return {
    order: terms.map(({ expr: _, ...key }) => key),
    limit: readValue(tokens, limit as Range) as ValueRef,
    offset: offset && readValue(tokens, offset),
    hopeful,
  };
}

/** Does the statement name the row id of a table that has no column for it? */
export function namesRowid(tokens: readonly Token[], refs: readonly TableRef[]): boolean {
  return tokens.some((token, i) => {
    if (
      (token.kind !== 'word' && token.kind !== 'name') ||
      !['rowid', 'oid', '_rowid_'].includes(foldName(token.value))
    )
      return false;
    if (isOp(tokens[i + 1], '(') || isWord(tokens[i - 1], 'as')) return false;
    return !refs.some((ref) => findColumn(ref.table, token.value));
  });
}
