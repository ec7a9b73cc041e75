import fc from 'fast-check';
import {
  anyPick,
  column,
  condition,
  expression,
  maybe,
  pick,
  pickNumber,
  plainCondition,
  plainExpression,
  pureExpression,
  sameKey,
} from './arbitrary-condition';
import type {
  Aggregate,
  Condition,
  Expression,
  From,
  Grouped,
  Join,
  Order,
  Origin,
  OutputOrder,
  Paging,
  Path,
  Query,
  RowsRecipe,
  Select,
  SelectField,
  SetOperation,
} from './recipe';

/** What the parts of a query are drawn from. */
interface Parts {
  readonly origin: fc.Arbitrary<Origin>;
  readonly joined: fc.Arbitrary<Origin>;
  readonly condition: fc.Arbitrary<Condition>;
  readonly expression: fc.Arbitrary<Expression>;
  readonly joins: fc.Arbitrary<Join['kind']>;
  readonly most: { readonly minLength: number; readonly maxLength: number };
}

const someJoins: Pick<Parts, 'joins' | 'most'> = {
  joins: fc.constantFrom('inner', 'inner', 'left', 'left', 'right', 'full', 'cross'),
  most: { minLength: 0, maxLength: 2 },
};

const table: fc.Arbitrary<Origin> = fc.record({ type: fc.constant('table'), table: pickNumber, aliased: fc.boolean() });
const related: fc.Arbitrary<Origin> = fc.record({ type: fc.constant('related'), n: pickNumber, aliased: fc.boolean() });
const cte: fc.Arbitrary<Origin> = fc.record({ type: fc.constant('cte'), n: pickNumber });

/** Queries that each shard can often answer for itself: there the merge is at work. */
const PLAIN: Parts = {
  origin: table,
  joined: related,
  condition: plainCondition,
  expression: plainExpression,
  ...someJoins,
};

/** Several tables by the same keys: which of them are on one shard depends on all conditions of the joins together. */
const JOINED: Parts = {
  ...PLAIN,
  expression: column,
  joins: fc.constantFrom('inner', 'inner', 'left', 'left', 'left', 'right', 'full'),
  most: { minLength: 2, maxLength: 3 },
};

/** @param depth How many levels of subqueries there may be in FROM. */
function rich(depth: number): Parts {
  const subquery: fc.Arbitrary<Origin>[] =
    depth === 0 ? [] : [fc.record({ type: fc.constant('subquery'), of: rows(rich(depth - 1)) })];
  const origin = (first: fc.Arbitrary<Origin>) =>
    fc.oneof({ withCrossShrink: true }, { weight: 8, arbitrary: first }, { weight: 2, arbitrary: cte }, ...subquery);
  return {
    origin: origin(table),
    joined: origin(fc.oneof(table, related)),
    condition: condition(2),
    expression: expression(2),
    ...someJoins,
  };
}

function from({ origin, joined, condition: where, joins, most }: Parts): fc.Arbitrary<From> {
  const join: fc.Arbitrary<Join> = fc.record({
    kind: joins,
    origin: joined,
    link: pickNumber,
    everyLink: fc.boolean(),
    alsoFirst: fc.boolean(),
    also: maybe(fc.oneof({ weight: 2, arbitrary: condition(0) }, sameKey)),
  });
  return fc.record({ origin, joins: fc.array(join, most), where: maybe(where, 55) });
}

const nulls = fc.constantFrom<'first' | 'last' | undefined>(undefined, undefined, 'first', 'last');

const paging: fc.Arbitrary<Paging> = fc.oneof(
  { withCrossShrink: true },
  { weight: 3, arbitrary: fc.record({ total: fc.constant(false) }) },
  { weight: 2, arbitrary: fc.record({ total: fc.constant(true) }) },
  { weight: 3, arbitrary: fc.record({ total: fc.constant(true), limit: fc.nat(12), offset: maybe(fc.nat(9), 43) }) },
  // Which rows is not said: only how many there are.
  { weight: 1, arbitrary: fc.record({ total: fc.constant(false), limit: fc.nat(9), offset: maybe(fc.nat(4)) }) },
);

const outputOrder: fc.Arbitrary<OutputOrder> = fc.record({
  output: pickNumber,
  style: fc.constantFrom('expression', 'name', 'position'),
  descending: fc.boolean(),
  nulls,
});

const window: fc.Arbitrary<SelectField> = fc.record({
  type: fc.constant('window'),
  call: fc.constantFrom('row_number()', 'rank()', 'count(*)', 'sum(?)', 'lag(?)', 'first_value(?)'),
  of: pick('number'),
  partition: maybe(anyPick, 50),
  descending: fc.boolean(),
});

function select(parts: Parts): fc.Arbitrary<Select> {
  const order: fc.Arbitrary<Order> = fc.record({
    by: plainExpression,
    descending: fc.boolean(),
    nulls,
    collate: fc.constantFrom(undefined, undefined, undefined, 'nocase', 'binary'),
  });
  const field = fc.oneof(
    { withCrossShrink: true },
    { weight: 15, arbitrary: parts.expression },
    { weight: 1, arbitrary: window },
  );
  return fc.record({
    type: fc.constant('select'),
    from: from(parts),
    fields: fc.oneof(
      { withCrossShrink: true },
      { weight: 1, arbitrary: fc.constant(undefined) },
      { weight: 3, arbitrary: fc.array(field, { minLength: 1, maxLength: 4 }) },
    ),
    distinct: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    order: fc.array(order, { maxLength: 2 }),
    outputOrder: fc.array(outputOrder, { maxLength: 2 }),
    paging,
  });
}

const aggregate: fc.Arbitrary<Aggregate> = fc.record({
  fn: fc.constantFrom('count(*)', 'count', 'sum', 'min', 'max', 'avg', 'total', 'group_concat', 'json_group_array'),
  of: anyPick,
  distinct: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  filter: maybe(condition(0), 20),
  wrap: fc.constantFrom(
    '?',
    '?',
    '?',
    '?',
    'coalesce(?, 0)',
    'abs(?)',
    'typeof(?)',
    'cast(? as text)',
    '(? + 1)',
    "case when ? > 2 then 'many' else 'few' end",
  ),
});

function grouped(parts: Parts): fc.Arbitrary<Grouped> {
  const having = fc.record({
    of: aggregate,
    by: fc.constantFrom('>', '<', '=', '<>', '>=', 'is not'),
    value: fc.constantFrom(0, 1, 2, 3, 5),
  });
  return fc.record({
    type: fc.constant('grouped'),
    from: from(parts),
    by: fc.array(pureExpression, { maxLength: 3 }),
    style: fc.constantFrom('expression', 'expression', 'name', 'position'),
    aggregates: fc.array(aggregate, { minLength: 1, maxLength: 3 }),
    having: maybe(having),
    outputOrder: fc.array(outputOrder, { maxLength: 2 }),
    paging,
  });
}

function setOperation(parts: Parts): fc.Arbitrary<SetOperation> {
  const part = fc.oneof(
    { withCrossShrink: true },
    { weight: 3, arbitrary: select(parts) },
    { weight: 2, arbitrary: grouped(parts) },
  );
  return fc.record({
    type: fc.constant('set'),
    first: part,
    rest: fc.array(fc.record({ op: fc.constantFrom('union', 'unionAll', 'intersect', 'except'), of: part }), {
      minLength: 1,
      maxLength: 2,
    }),
    outputOrder: fc.array(outputOrder, { maxLength: 2 }),
    paging,
  });
}

function rows(parts: Parts): fc.Arbitrary<RowsRecipe> {
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 10, arbitrary: select(parts) },
    { weight: 7, arbitrary: grouped(parts) },
    { weight: 3, arbitrary: setOperation(parts) },
  );
}

const path: fc.Arbitrary<Path> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Path>('all') },
  fc.constantFrom<Path>('await', 'get', 'values', 'prepared', 'batch', 'raw', 'columnNames', 'objects'),
);

const plainQuery: fc.Arbitrary<Query> = fc.record({
  ctes: fc.constant([]),
  body: fc.oneof({ weight: 3, arbitrary: select(PLAIN) }, { weight: 2, arbitrary: grouped(PLAIN) }),
  path,
});

const joinedQuery: fc.Arbitrary<Query> = fc.record({
  ctes: fc.constant([]),
  body: fc.oneof({ weight: 4, arbitrary: select(JOINED) }, { weight: 1, arbitrary: grouped(JOINED) }),
  path,
});

const richQuery: fc.Arbitrary<Query> = fc.record({
  ctes: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(rows(rich(0)), { minLength: 1, maxLength: 2 })),
  body: fc.oneof(
    { withCrossShrink: true },
    { weight: 20, arbitrary: rows(rich(1)) },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('count'), table: pickNumber, where: maybe(condition(2), 75) }),
    },
  ),
  path,
});

/** Any query that Drizzle's builders can make, as far as this suite knows them. */
export const query: fc.Arbitrary<Query> = fc.oneof(
  { weight: 2, arbitrary: plainQuery },
  { weight: 1, arbitrary: joinedQuery },
  { weight: 2, arbitrary: richQuery },
);
