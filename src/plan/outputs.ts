import type { Range, ResultColumn, Source } from '../sql/ast';
import { columnEnd, unwrap } from '../sql/conditions';
import { columnsIn } from '../sql/functions';
import { foldName, isWord, type Token } from '../sql/tokens';
import { KeyClass } from './key-class';
import {
  type BoundCore,
  type BoundSelect,
  type BoundSource,
  type OutputColumn,
  resolve,
  resolveRange,
  type Scope,
  type TableRef,
} from './scope';

const COMPUTED = { ref: undefined, column: undefined, key: undefined, nullable: true } as const;

/** The columns that a mention of a table brings; undefined when they are not known. */
export function tableColumns(ref: TableRef): OutputColumn[] | undefined {
  const { placement, columns } = ref.table;
  if (columns.length === 0) return undefined;
  return columns.map((column) => ({
    name: column.name,
    ref,
    column,
    key: placement.kind === 'sharded' && placement.key === column ? ref.key : undefined,
    nullable: ref.nullable,
    collation: column.collation,
  }));
}

/** The columns of a table-valued function. */
export const unknownColumns = (name: string): OutputColumn[] | undefined =>
  ['json_each', 'json_tree', 'jsonb_each', 'jsonb_tree'].includes(foldName(name))
    ? 'key value type atom id parent fullkey path json root'
        .split(' ')
        .map((column) => ({ ...COMPUTED, name: column, collation: 'BINARY' }))
    : undefined;

/** A subquery or CTE in FROM. Keys that it lets through unchanged become keys of this level. */
export function liftColumns(
  source: Source,
  derived: BoundSelect,
  core: BoundCore,
  names: readonly string[],
): BoundSource {
  const lifted = new Map<KeyClass, KeyClass>();
  const isOuter = core.hasRightJoin || core.core.opaqueFrom || source.join === 'left';
  const columns = derived.columns?.map((column, i): OutputColumn => {
    const named = { ...column, name: names[i] ?? column.name, nullable: column.nullable || isOuter };
    const inner = column.key?.find();
    if (!inner || !derived.transparent(inner)) return { ...named, key: undefined };
    let key = lifted.get(inner);
    if (!key) {
      key = new KeyClass(core.level, inner.keyspace, inner.affinity);
      if (!isOuter) for (const set of inner.ownConstraints) key.constrain(set);
      inner.tieTo(key);
      lifted.set(inner, key);
    }
    return { ...named, key };
  });
  return { source, columns, ref: undefined, derived };
}

/** The columns of a select's rows; undefined when a star stands for columns that are not known. */
export function outputsOf(bound: BoundCore, compound: boolean, tokens: readonly Token[]): OutputColumn[] | undefined {
  // Its columns hold what any of its rows has at their places.
  if (bound.core.values.length > 0) {
    return bound.core.columns.map((_, i) => ({ ...COMPUTED, name: `column${i + 1}`, collation: undefined }));
  }
  const columns: OutputColumn[] = [];
  for (const column of bound.core.columns) {
    if (column.star === undefined) {
      columns.push(output(column, bound.scope, tokens));
      continue;
    }
    for (const source of bound.sources) {
      if (column.star !== '' && foldName(column.star) !== foldName(source.source.alias)) continue;
      if (!source.columns || source.source.using.length > 0 || source.source.natural) return undefined;
      columns.push(...source.columns);
    }
  }
  // Of a compound only the names are the first part's.
  return compound ? columns.map(({ name }) => ({ ...COMPUTED, name, collation: undefined })) : columns;
}

function output(column: ResultColumn, scope: Scope, tokens: readonly Token[]): OutputColumn {
  const bound = resolveRange(scope, tokens, column.expr);
  const name = column.alias ?? nameOf(tokens, column.expr);
  const collation = collationOf(scope, tokens, column.expr);
  if (!bound) return { ...COMPUTED, name, collation };
  // A key of an outer query, selected by an inner one, is constant there, not a key of the inner rows.
  const key = bound.key?.level === scope.level ? bound.key : undefined;
  return { ...bound, name, key, collation };
}

/** As SQLite calls it: the name of the column, also where parentheses or COLLATE are around it; nothing else is known by name. */
function nameOf(tokens: readonly Token[], whole: Range): string {
  const range = unwrap(tokens, whole);
  const { from, to } = range;
  if (columnEnd(tokens, range) === to) return (tokens[to - 1] as Token).value;
  return to - from > 2 && isWord(tokens[to - 2], 'collate') ? nameOf(tokens, { from, to: to - 2 }) : '';
}

/**
 * The collation by which SQLite compares an expression; undefined when that is not plain to see: an explicit COLLATE inside,
 * parentheses, `+` and CAST carry collations outwards (https://www.sqlite.org/datatype3.html §7.1).
 */
export function collationOf(scope: Scope, tokens: readonly Token[], range: Range): string | undefined {
  const { from, to } = range;
  const column = resolveRange(scope, tokens, range);
  if (column) return column.collation;
  const isCollated = isWord(tokens[to - 2], 'collate');
  const inner = isCollated && resolveRange(scope, tokens, { from, to: to - 2 });
  if (inner) return (tokens[to - 1] as Token).value.toUpperCase();
  for (let i = from; i < to; i++) if (isWord(tokens[i], 'collate')) return undefined;
  const isPlain = columnsIn(tokens, range).every(({ path }) => resolve(scope, path)?.collation === 'BINARY');
  return isPlain ? 'BINARY' : undefined;
}
