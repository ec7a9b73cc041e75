import { and, eq, type SQL, sql } from 'drizzle-orm';
import { TABLES } from '../catalog';
import { buildCondition, links } from './build-condition';
import { makeRows, type Rows } from './build-rows';
import type { Builder, Chain } from './builder';
import type { From, Join, Origin } from './recipe';
import { at, type Context, derivedSource, type Field, freshName, type Source, tableAt, tableSource } from './scope';

/** FROM, its joins and WHERE, ready to be put behind a SELECT. */
export interface BuiltFrom {
  readonly sources: readonly Source[];
  readonly scope: readonly Field[];
  /** Whether the sources have keys that tell all rows apart. */
  readonly key: readonly Field[] | undefined;
  apply(select: ReturnType<Builder['select']>): Chain;
}

export function buildFrom(context: Context, from: From): BuiltFrom {
  const first = buildOrigin(context, from.origin, [], []);
  const sources = [first];
  const steps: ((chain: Chain) => Chain)[] = [];
  for (const join of from.joins) {
    const { source, step } = buildJoin(context, join, sources);
    sources.push(source);
    steps.push(step);
  }
  const scope = sources.flatMap(({ fields }) => fields);
  const where = from.where && buildCondition(context, scope, from.where);
  return {
    sources,
    scope,
    key: sources.every(({ key }) => key.length > 0) ? sources.flatMap(({ key }) => key) : undefined,
    apply: (select) => {
      const joined = steps.reduce((chain, step) => step(chain), select.from(first.relation));
      return where ? joined.where(where) : joined;
    },
  };
}

function buildOrigin(context: Context, origin: Origin, taken: readonly string[], scope: readonly Field[]): Source {
  if (origin.type === 'subquery')
    return asSource(context, makeRows(context, origin.of, { inside: true }), freshName(context, 's'));
  if (origin.type === 'table') return tableSource(context, tableAt(origin.table), origin.aliased, taken);
  if (origin.type === 'related') {
    const domains = new Set(scope.map(({ domain }) => domain));
    const related = TABLES.filter(({ columns }) =>
      Object.values(columns).some(({ domain }) => domain && domains.has(domain)),
    );
    return tableSource(context, at(related.length > 0 ? related : TABLES, origin.n), origin.aliased, taken);
  }
  const free = context.ctes.filter(({ name }) => !taken.includes(name));
  return free.length > 0 ? at(free, origin.n) : tableSource(context, tableAt(origin.n), false, taken);
}

/** Drizzle writes a subquery's columns without its name, so they are named apart. */
function asSource(context: Context, rows: Rows, name: string): Source {
  return derivedSource(name, rows.finish(context.builder).as(name), rows.outputs);
}

export function buildCte(context: Context, rows: Rows, name: string): Source {
  return derivedSource(name, context.builder.$with(name).as(rows.finish(context.builder)), rows.outputs);
}

const SMALL_TABLES = TABLES.filter(({ small }) => small);

function buildJoin(
  context: Context,
  join: Join,
  before: readonly Source[],
): { source: Source; step: (chain: Chain) => Chain } {
  const taken = before.map(({ name }) => name);
  const scope = before.flatMap(({ fields }) => fields);
  const wanted = buildOrigin(context, join.origin, taken, scope);
  const found = links(wanted.fields, scope);
  const { kind } = join;
  // Every row with every row of a large table would be too many.
  if (kind === 'cross' || found.length === 0) {
    const spec = at(SMALL_TABLES, join.link);
    const source = wanted.key.length > 0 ? tableSource(context, spec, taken.includes(spec.name), taken) : wanted;
    if (kind === 'cross') return { source, step: (chain) => chain.crossJoin(source.relation) };
    return {
      source,
      step: (chain) =>
        joinOn(
          chain,
          kind,
          source,
          withAlso(context, join, [...source.fields, ...scope], anyLink(source, scope, join.link)),
        ),
    };
  }
  const on = join.everyLink ? and(...found) : at(found, join.link);
  return {
    source: wanted,
    step: (chain) => joinOn(chain, kind, wanted, withAlso(context, join, [...wanted.fields, ...scope], on)),
  };
}

/** Two columns that happen to hold equal values now and then. */
function anyLink(source: Source, scope: readonly Field[], n: number): SQL {
  const left = at(source.fields, n);
  const alike = scope.filter(({ kind }) => kind === left.kind);
  return eq(left.node, at(alike.length > 0 ? alike : scope, n).node);
}

function withAlso(context: Context, join: Join, scope: readonly Field[], on: SQL | undefined): SQL {
  const also = join.also && buildCondition(context, scope, join.also);
  return (join.alsoFirst ? and(also, on) : and(on, also)) ?? sql`true`;
}

function joinOn(chain: Chain, kind: Exclude<Join['kind'], 'cross'>, { relation }: Source, on: SQL): Chain {
  switch (kind) {
    case 'inner':
      return chain.innerJoin(relation, on);
    case 'left':
      return chain.leftJoin(relation, on);
    case 'right':
      return chain.rightJoin(relation, on);
    case 'full':
      return chain.fullJoin(relation, on);
  }
}
