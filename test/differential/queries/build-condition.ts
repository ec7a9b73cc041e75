import {
  and,
  avg,
  between,
  count,
  countDistinct,
  eq,
  exists,
  gt,
  gte,
  inArray,
  isNotNull,
  isNull,
  like,
  lt,
  lte,
  max,
  min,
  ne,
  not,
  notBetween,
  notExists,
  notInArray,
  notLike,
  or,
  type SQL,
  type SQLWrapper,
  sql,
  sum,
  sumDistinct,
} from 'drizzle-orm';
import type { Cell } from '../catalog';
import type { Builder, Chain } from './builder';
import type { Aggregate, Comparison, Condition, Expression, Subquery } from './recipe';
import {
  at,
  type Context,
  choose,
  computed,
  type Field,
  isColumn,
  type Scope,
  type Source,
  tableAt,
  tableSource,
} from './scope';

const COMPARE: Partial<Record<Comparison, (left: SQLWrapper, right: unknown) => SQL>> = {
  '=': eq,
  '<>': ne,
  '<': lt,
  '<=': lte,
  '>': gt,
  '>=': gte,
};

export function buildExpression(context: Context, scope: Scope, expression: Expression): Field {
  switch (expression.type) {
    case 'column':
      return choose(scope, expression.pick);
    case 'value':
      return computed(
        expression.bound ? sql`${expression.value}` : literal(expression.value),
        false,
        !expression.bound,
      );
    case 'call': {
      const args = expression.args.map((argument) => buildExpression(context, scope, argument));
      const nocase = expression.template.includes('nocase') || args.some((argument) => argument.nocase);
      const constant = args.every((argument) => argument.constant);
      return computed(
        fill(
          expression.template,
          args.map(({ node }) => node),
        ),
        nocase,
        constant,
      );
    }
    case 'case': {
      const [then, otherwise] = [expression.then, expression.otherwise].map((of) =>
        buildExpression(context, scope, of),
      );
      const when = buildCondition(context, scope, expression.when);
      return computed(
        sql`case when ${when} then ${then?.node} else ${otherwise?.node} end`,
        !!then?.nocase || !!otherwise?.nocase,
      );
    }
    case 'scalar': {
      const { fields, finish } = inner(context, scope, expression.of);
      const value = buildAggregate(
        context,
        fields,
        { fn: expression.aggregate, of: expression.of.output, distinct: false, wrap: '?' },
        'sure',
      );
      return computed(sql`${finish(context.builder.select({ v: value.node }))}`, false);
    }
  }
}

/** `?` by `?`, the arguments. */
export function fill(template: string, args: readonly SQLWrapper[]): SQL {
  const texts = template.split('?');
  return sql.join(texts.flatMap((text, i) => (i === 0 ? [sql.raw(text)] : [sql`${at(args, i - 1)}`, sql.raw(text)])));
}

function literal(value: string | number | null): SQL {
  if (value === null) return sql.raw('null');
  return sql.raw(typeof value === 'number' ? `${value}` : `'${value.replaceAll("'", "''")}'`);
}

export function buildCondition(context: Context, scope: Scope, condition: Condition): SQL {
  switch (condition.type) {
    case 'sample': {
      const field = choose(scope, condition.column);
      const value = at(field.samples, condition.sample);
      const compare = COMPARE[condition.by];
      if (compare && !condition.flipped) return compare(field.node, valueFor(field, value));
      const [left, right] = condition.flipped ? [driverValue(value), field.node] : [field.node, driverValue(value)];
      return sql`${left} ${sql.raw(condition.by)} ${right}`;
    }
    case 'compare': {
      const [left, right] = [condition.left, condition.right].map((side) => buildExpression(context, scope, side).node);
      return sql`${left} ${sql.raw(condition.by)} ${right}`;
    }
    case 'in': {
      const field = choose(scope, condition.column);
      const values = condition.samples.map((sample) => valueFor(field, at(field.samples, sample)));
      return (condition.not ? notInArray : inArray)(field.node, values);
    }
    case 'json': {
      const field = choose(scope, condition.column);
      const list = JSON.stringify(condition.samples.map((sample) => jsonValue(driverValue(at(field.samples, sample)))));
      return sql`${field.node} ${sql.raw(condition.not ? 'not in' : 'in')} (select value from json_each(${list}))`;
    }
    case 'between': {
      const field = choose(scope, condition.column);
      const [low, high] = [condition.low, condition.high].map((sample) => valueFor(field, at(field.samples, sample)));
      return (condition.not ? notBetween : between)(field.node, low, high);
    }
    case 'like': {
      const { node } = choose(scope, condition.column);
      if (condition.by === 'glob') return sql`${node} glob ${condition.pattern}`;
      return (condition.by === 'like' ? like : notLike)(sql`${node}`, condition.pattern);
    }
    case 'null':
      return (condition.not ? isNotNull : isNull)(choose(scope, condition.column).node);
    case 'and':
    case 'or': {
      const parts = condition.of.map((part) => buildCondition(context, scope, part));
      return (condition.type === 'and' ? and(...parts) : or(...parts)) ?? sql`true`;
    }
    case 'loose or': {
      const [left, right] = condition.of.map((part) => buildCondition(context, scope, part));
      return sql`${left} or ${right}`;
    }
    case 'not':
      return not(buildCondition(context, scope, condition.of));
    case 'exists': {
      const query = inner(context, scope, condition.of).finish(context.builder.select({ one: sql`1` }));
      return (condition.not ? notExists : exists)(sql`${query}`);
    }
    case 'in subquery': {
      const { fields, finish } = inner(context, scope, condition.of);
      const query = finish(context.builder.select({ v: choose(fields, condition.of.output).node }));
      const { node } = choose(scope, condition.column);
      // SQLite itself changes the column of a derived table for good when IN converts it to compare: '1' then comes out as 1.
      const left = isColumn(node) ? node : sql`coalesce(${node}, null)`;
      return (condition.not ? notInArray : inArray)(sql`${left}`, sql`${query}`);
    }
  }
}

/** A subquery of one table or two: what it selects from, and `finish` to put behind its SELECT. */
function inner(
  context: Context,
  outer: Scope,
  subquery: Subquery,
): { fields: Scope; finish(select: ReturnType<Builder['select']>): Chain } {
  const { ctes } = context;
  const source =
    subquery.cte && ctes.length > 0
      ? at(ctes, subquery.table)
      : tableSource(context, tableAt(subquery.table), subquery.aliased);
  const joined = subquery.join && joinedTable(context, source, subquery.join);
  const fields = [...source.fields, ...(joined?.source.fields ?? [])];
  const link = subquery.linked ? links(source.fields, outer)[0] : undefined;
  const where = and(link, subquery.where && buildCondition(context, [...fields, ...outer], subquery.where));
  return {
    fields,
    finish: (select) => {
      const chain = select.from(source.relation);
      if (!joined) return chain.where(where);
      const { relation } = joined.source;
      return (
        joined.kind === 'left' ? chain.leftJoin(relation, joined.on) : chain.innerJoin(relation, joined.on)
      ).where(where);
    },
  };
}

/** Nothing when the two have no key in common: all pairs of rows would be too many. */
function joinedTable(context: Context, left: Source, join: NonNullable<Subquery['join']>) {
  const source = tableSource(context, tableAt(join.table), true);
  const found = links(source.fields, left.fields);
  const on = join.everyLink ? and(...found) : found[join.link % found.length];
  return on && { source, kind: join.kind, on };
}

/** Equality for each key that both sides have. */
export function links(left: Scope, right: Scope): SQL[] {
  return left.flatMap((a) =>
    right.filter((b) => a.domain !== undefined && a.domain === b.domain).map((b) => eq(a.node, b.node)),
  );
}

/** What Drizzle's operators take: a column encodes the value itself. */
function valueFor(field: Field, value: Cell): unknown {
  return isColumn(field.node) ? value : driverValue(value);
}

/** What D1 binds for a value. */
function driverValue(value: Cell): Cell {
  if (value instanceof Date) return value.getTime() / 1000;
  return typeof value === 'boolean' ? Number(value) : value;
}

/** JSON has no bytes. */
const jsonValue = (value: Cell): unknown => (value instanceof Uint8Array ? '' : value);

/** @param use `sure`: the value may depend on nothing that SQL leaves open. `shown`: it is only compared without case. */
export function buildAggregate(context: Context, scope: Scope, aggregate: Aggregate, use: 'sure' | 'shown'): Field {
  const { fn, distinct, wrap } = aggregate;
  const loose = use === 'shown' && wrap === '?';
  const fitting = scope.filter((field) =>
    fn === 'sum' || fn === 'avg' || fn === 'total' ? field.sums : loose || fn === 'count' || !field.nocase,
  );
  // A table of keys alone has nothing to sum.
  const name = fitting.length === 0 ? 'count(*)' : fn;
  const of = name === 'count(*)' ? undefined : choose(fitting, aggregate.of);
  const filter = aggregate.filter && buildCondition(context, scope, aggregate.filter);
  const value =
    (of && !filter && wrap === '?' ? ofDrizzle(name, of, distinct) : undefined) ??
    plainAggregate(name, of, distinct, filter);
  const nocase = !!of?.nocase && (name === 'min' || name === 'max');
  return computed(wrap === '?' ? value : fill(wrap.replaceAll('?', '?'), [value]), nocase);
}

/** Drizzle's own functions, which decode what comes back. */
function ofDrizzle(fn: Aggregate['fn'], of: Field, distinct: boolean): SQL | undefined {
  if (fn === 'count') return (distinct ? countDistinct : count)(of.node);
  if (fn === 'sum') return (distinct ? sumDistinct : sum)(of.node);
  if (distinct) return undefined;
  if (fn === 'avg') return avg(of.node);
  if (fn === 'min') return min(of.node);
  return fn === 'max' ? max(of.node) : undefined;
}

function plainAggregate(fn: Aggregate['fn'], of: Field | undefined, distinct: boolean, filter: SQL | undefined): SQL {
  // Their order is free, their length is not.
  if (of && fn === 'group_concat') return measured(sql`group_concat(${of.node})`, filter);
  if (of && fn === 'json_group_array') return measured(sql`json_group_array(quote(${of.node}))`, filter);
  const call = of ? sql`${sql.raw(fn)}(${sql.raw(distinct ? 'distinct ' : '')}${of.node})` : sql`count(*)`;
  return filter ? sql`${call} filter (where ${filter})` : call;
}

const measured = (call: SQL, filter: SQL | undefined): SQL =>
  filter ? sql`length(hex(${call} filter (where ${filter})))` : sql`length(hex(${call}))`;
