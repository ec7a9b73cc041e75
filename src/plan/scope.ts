import type { Column, Table } from '../layout/table';
import type { Core, Range, Select, Source } from '../sql/ast';
import { columnEnd } from '../sql/conditions';
import { foldName, isOp, type Token } from '../sql/tokens';
import type { KeyClass } from './key-class';

/** One mention of a table in a statement. */
export interface TableRef {
  readonly table: Table;
  readonly source: Source;
  readonly alias: string;
  /** The class of its shard key; undefined for tables that are not sharded. */
  readonly key: KeyClass | undefined;
  /** Joined so that its columns may all be null although a row exists: conditions in WHERE may not go before the join. */
  readonly nullable: boolean;
  readonly core: BoundCore;
}

/** What a column name stands for. */
export interface BoundColumn {
  /** Undefined for a column that is computed. */
  readonly ref: TableRef | undefined;
  readonly column: Column | undefined;
  /** Set when it is a shard key as seen from where it is named. */
  readonly key: KeyClass | undefined;
  /** It may be null although its column is not: an outer join. */
  readonly nullable: boolean;
  /** Undefined: not known. */
  readonly collation: string | undefined;
}

export interface OutputColumn extends BoundColumn {
  readonly name: string;
}

export interface BoundSource {
  readonly source: Source;
  /** Undefined: its columns are not known. */
  readonly columns: readonly OutputColumn[] | undefined;
  readonly ref: TableRef | undefined;
  readonly derived: BoundSelect | undefined;
}

/** Names that one FROM clause makes visible, and those around it. */
export interface Scope {
  readonly level: number;
  readonly sources: readonly BoundSource[];
  /** Result aliases hide outer columns. */
  readonly aliases: ReadonlySet<string>;
  readonly parent: Scope | undefined;
}

export interface BoundCore {
  readonly core: Core;
  readonly level: number;
  readonly sources: BoundSource[];
  readonly scope: Scope;
  /** Top-level AND terms of WHERE and of inner joins' ON. */
  readonly conjuncts: Range[];
  /** Top-level AND terms of each left join's ON, by the joined source. */
  readonly outerConjuncts: Map<BoundSource, Range[]>;
  readonly hasRightJoin: boolean;
  aggregate: boolean;
  windows: boolean;
}

export interface BoundSelect {
  readonly select: Select;
  readonly cores: readonly BoundCore[];
  /** Undefined when a star stands for columns that are not known. */
  readonly columns: readonly OutputColumn[] | undefined;
  /** Limiting it to some keys before or after it has run gives the same rows. */
  readonly transparent: (key: KeyClass) => boolean;
}

/** Resolves a name as SQLite does: the innermost FROM clause that has it. Undefined when that cannot be told. */
export function resolve(scope: Scope | undefined, path: readonly string[]): BoundColumn | undefined {
  const name = foldName(path[path.length - 1] as string);
  const qualifier = path.length > 1 ? foldName(path[path.length - 2] as string) : undefined;
  for (let at = scope; at; at = at.parent) {
    if (qualifier !== undefined) {
      const source = at.sources.find((candidate) => foldName(candidate.source.alias) === qualifier);
      if (source) return source.columns?.find((column) => foldName(column.name) === name);
      continue;
    }
    const found = at.sources.flatMap(
      (source) => source.columns?.filter((column) => foldName(column.name) === name) ?? [],
    );
    if (found.length > 0) return found.length === 1 || isShared(at, name) ? found[0] : undefined;
    if (at.sources.some((source) => source.columns === undefined) || at.aliases.has(name)) return undefined;
  }
  return undefined;
}

/** USING makes one column of two, which has the value of the first; unless a row may lack it, in a right or full join. */
const isShared = ({ sources }: Scope, name: string): boolean =>
  sources.some(({ source }) => source.using.some((column) => foldName(column) === name)) &&
  !sources.some(({ source }) => source.join === 'right' || source.join === 'full');

/** The column that a range names, when it is nothing but a column reference. */
export function resolveRange(scope: Scope, tokens: readonly Token[], range: Range): BoundColumn | undefined {
  if (columnEnd(tokens, range) !== range.to) return undefined;
  const path: string[] = [];
  for (let i = range.from; i < range.to; i++) if (!isOp(tokens[i], '.')) path.push((tokens[i] as Token).value);
  return resolve(scope, path);
}
