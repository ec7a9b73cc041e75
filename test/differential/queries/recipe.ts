/**
 * A query as plain data. Columns and tables are picked by number, modulo how many there are to choose from, so that every
 * recipe is a valid query and stays one while fast-check makes it smaller.
 */
export interface Pick {
  readonly of: 'text' | 'number' | 'key' | 'any';
  readonly n: number;
}

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=' | 'is' | 'is not';

export type Expression =
  | { readonly type: 'column'; readonly pick: Pick }
  | { readonly type: 'value'; readonly value: string | number | null; readonly bound: boolean }
  /** SQL with one `?` for each argument. */
  | { readonly type: 'call'; readonly template: string; readonly args: readonly Expression[] }
  | { readonly type: 'case'; readonly when: Condition; readonly then: Expression; readonly otherwise: Expression }
  | { readonly type: 'scalar'; readonly of: Subquery; readonly aggregate: Aggregate['fn'] };

export type Condition =
  | {
      readonly type: 'sample';
      readonly column: Pick;
      readonly by: Comparison;
      readonly sample: number;
      readonly flipped: boolean;
    }
  | { readonly type: 'compare'; readonly left: Expression; readonly by: Comparison; readonly right: Expression }
  | { readonly type: 'in'; readonly column: Pick; readonly samples: readonly number[]; readonly not: boolean }
  | {
      readonly type: 'between';
      readonly column: Pick;
      readonly low: number;
      readonly high: number;
      readonly not: boolean;
    }
  | {
      readonly type: 'like';
      readonly column: Pick;
      readonly pattern: string;
      readonly by: 'like' | 'not like' | 'glob';
    }
  /** The list as one JSON parameter. */
  | { readonly type: 'json'; readonly column: Pick; readonly samples: readonly number[]; readonly not: boolean }
  | { readonly type: 'null'; readonly column: Pick; readonly not: boolean }
  | { readonly type: 'and' | 'or'; readonly of: readonly Condition[] }
  /** `a or b` as raw SQL without parentheses: AND around it binds more tightly. */
  | { readonly type: 'loose or'; readonly of: readonly [Condition, Condition] }
  | { readonly type: 'not'; readonly of: Condition }
  | { readonly type: 'exists'; readonly of: Subquery; readonly not: boolean }
  | { readonly type: 'in subquery'; readonly column: Pick; readonly of: Subquery; readonly not: boolean };

/** Inside an expression or a condition. It sees the columns around it. */
export interface Subquery {
  /** A table; or a CTE of the query, if it has one. */
  readonly table: number;
  readonly cte: boolean;
  readonly aliased: boolean;
  /** Joined to the columns around it by a key that both have, if there is one. */
  readonly linked: boolean;
  /** Joined with another table by a key that both have. */
  readonly join?:
    | { readonly table: number; readonly kind: 'inner' | 'left'; readonly link: number; readonly everyLink: boolean }
    | undefined;
  readonly where?: Condition | undefined;
  readonly output: Pick;
}

export type Origin =
  | { readonly type: 'table'; readonly table: number; readonly aliased: boolean }
  /** A table that has a key in common with those before it. */
  | { readonly type: 'related'; readonly n: number; readonly aliased: boolean }
  | { readonly type: 'subquery'; readonly of: RowsRecipe }
  | { readonly type: 'cte'; readonly n: number };

export interface Join {
  readonly kind: 'inner' | 'left' | 'right' | 'full' | 'cross';
  readonly origin: Origin;
  /** Which of the keys that both sides have; or all of them. */
  readonly link: number;
  readonly everyLink: boolean;
  readonly alsoFirst: boolean;
  readonly also?: Condition | undefined;
}

export interface From {
  readonly origin: Origin;
  readonly joins: readonly Join[];
  readonly where?: Condition | undefined;
}

export interface Order {
  readonly by: Expression;
  readonly descending: boolean;
  readonly nulls?: 'first' | 'last' | undefined;
  readonly collate?: 'nocase' | 'binary' | undefined;
}

/** An order by what the query puts out. */
export interface OutputOrder {
  readonly output: number;
  readonly style: 'position' | 'name' | 'expression';
  readonly descending: boolean;
  readonly nulls?: 'first' | 'last' | undefined;
}

/** With `total` the order is completed, so that only rows that are equal may change places. */
export interface Paging {
  readonly total: boolean;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

export interface Select {
  readonly type: 'select';
  readonly from: From;
  /** Undefined: `select *`, typed. */
  readonly fields?: readonly SelectField[] | undefined;
  readonly distinct: boolean;
  readonly order: readonly Order[];
  readonly outputOrder: readonly OutputOrder[];
  readonly paging: Paging;
}

export type SelectField = Expression | Window;

export interface Window {
  readonly type: 'window';
  readonly call: string;
  readonly of: Pick;
  readonly partition?: Pick | undefined;
  readonly descending: boolean;
}

export interface Aggregate {
  readonly fn: 'count(*)' | 'count' | 'sum' | 'total' | 'avg' | 'min' | 'max' | 'group_concat' | 'json_group_array';
  readonly of: Pick;
  readonly distinct: boolean;
  readonly filter?: Condition | undefined;
  /** SQL around it, with one `?`. */
  readonly wrap: string;
}

export interface Grouped {
  readonly type: 'grouped';
  readonly from: From;
  /** Without bound values: two parameters are never the same expression. */
  readonly by: readonly Expression[];
  readonly style: 'position' | 'name' | 'expression';
  readonly aggregates: readonly Aggregate[];
  readonly having?: { readonly of: Aggregate; readonly by: Comparison; readonly value: number } | undefined;
  readonly outputOrder: readonly OutputOrder[];
  readonly paging: Paging;
}

export interface SetOperation {
  readonly type: 'set';
  readonly first: Select | Grouped;
  readonly rest: readonly {
    readonly op: 'union' | 'unionAll' | 'intersect' | 'except';
    readonly of: Select | Grouped;
  }[];
  readonly outputOrder: readonly OutputOrder[];
  readonly paging: Paging;
}

/** What a query, a subquery in FROM or a CTE may be. */
export type RowsRecipe = Select | Grouped | SetOperation;

export interface Count {
  readonly type: 'count';
  readonly table: number;
  readonly where?: Condition | undefined;
}

/** How the rows are asked for. */
export type Path = 'all' | 'await' | 'get' | 'values' | 'prepared' | 'batch' | 'raw' | 'columnNames' | 'objects';

export interface Query {
  readonly ctes: readonly RowsRecipe[];
  readonly body: RowsRecipe | Count;
  readonly path: Path;
}
