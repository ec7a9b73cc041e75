import { is, type SQL, type SQLWrapper } from 'drizzle-orm';
import { alias, SQLiteColumn, type SQLiteTable } from 'drizzle-orm/sqlite-core';
import { type Cell, type ColumnSpec, type Domain, TABLES, type TableSpec } from '../catalog';
import type { Builder, Chain, Relation } from './builder';
import type { Pick } from './recipe';

/** Something with a value in each row: a column, or an expression. */
export interface Field {
  readonly node: SQLWrapper;
  readonly kind: ColumnSpec['kind'];
  readonly samples: readonly Cell[];
  readonly domain?: Domain | undefined;
  /** It may compare without case: of two equal values, SQL does not say which one stands for both. */
  readonly nocase: boolean;
  readonly sums: boolean;
  /** Made of literals alone. */
  readonly constant?: boolean;
}

/** A table, subquery or CTE in FROM. */
export interface Source {
  readonly name: string;
  readonly relation: Relation;
  readonly fields: readonly Field[];
  /** Fields that tell its rows apart; empty when it is not known. */
  readonly key: readonly Field[];
}

/** The fields that an expression may use, the nearest first. */
export type Scope = readonly Field[];

/** What the parts of one query share. */
export interface Context {
  readonly builder: Builder;
  readonly ctes: readonly Source[];
  readonly names: { next: number };
}

export function freshName(context: Context, prefix: string): string {
  return `${prefix}${context.names.next++}`;
}

/** What expressions are compared with. */
const MIXED: readonly Cell[] = [0, 1, 2, 'a', '', '1', 'A', 1.5, 10];

export function computed(node: SQL, nocase: boolean, constant = false): Field {
  return { node, kind: 'text', samples: MIXED, nocase, sums: false, constant };
}

export function isColumn(node: SQLWrapper): node is SQLiteColumn {
  return is(node, SQLiteColumn);
}

export function at<T>(list: readonly T[], n: number): T {
  const found = list[n % list.length];
  if (found === undefined) throw new Error('There is nothing to choose from.');
  return found;
}

/** The field that a recipe means; any field when there is none of the kind. */
export function choose(scope: Scope, { of, n }: Pick): Field {
  const fitting = scope.filter(
    (field) => of === 'any' || (of === 'key' ? field.domain !== undefined : field.kind === of),
  );
  return at(fitting.length > 0 ? fitting : scope, n);
}

/** The table as it is, or under another name when `taken` has its own. */
export function tableSource(
  context: Context,
  spec: TableSpec,
  aliased: boolean,
  taken: readonly string[] = [],
): Source {
  const name = aliased || taken.includes(spec.name) ? freshName(context, 't') : spec.name;
  const table = name === spec.name ? spec.table : (alias(spec.table, name) as SQLiteTable);
  const columns = table as unknown as Readonly<Record<string, SQLiteColumn>>;
  const field = (property: string): Field => {
    const column = columns[property];
    const found = spec.columns[property];
    if (!column || !found) throw new Error(`No column ${spec.name}.${property}.`);
    const { kind, samples, domain, nocase = false, sums = false } = found;
    return { node: column, kind, samples, domain, nocase, sums };
  };
  return {
    name,
    relation: table as unknown as Relation,
    fields: Object.keys(spec.columns).map(field),
    key: spec.primaryKey.map(field),
  };
}

export const tableAt = (n: number): TableSpec => at(TABLES, n);

/** A query in FROM: `made` has the name under which `relation` gives out each field. */
export function derivedSource(name: string, relation: Relation, made: ReadonlyMap<string, Field>): Source {
  const columns = relation as unknown as Readonly<Record<string, SQLWrapper>>;
  const fields = [...made].map(([property, field]): Field => {
    const node = columns[property];
    if (!node) throw new Error(`No column ${name}.${property}.`);
    return { ...field, node };
  });
  return { name, relation, fields, key: [] };
}

export type { Chain };
