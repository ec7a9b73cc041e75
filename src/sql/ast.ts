import type { Token } from './tokens';

/** Tokens `from` (included) to `to` (excluded). */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export type JoinKind = 'first' | 'inner' | 'left' | 'right' | 'full';

/** One item of a FROM clause, or the target of a write. */
export interface Source {
  readonly kind: 'table' | 'subquery' | 'function';
  /** As written, without quotes; empty for a subquery. */
  readonly name: string;
  readonly schema: string | undefined;
  /** The token that is the name; meaningless for a subquery. */
  readonly nameAt: number;
  /** The name under which columns are qualified. */
  readonly alias: string;
  /** The alias is written; otherwise it is the name. */
  readonly aliased: boolean;
  readonly join: JoinKind;
  readonly on: Range | undefined;
  readonly using: readonly string[];
  readonly natural: boolean;
  readonly select: Select | undefined;
  /** The arguments of a table-valued function. */
  readonly args: Range | undefined;
  /** Tokens of `INDEXED BY name` / `NOT INDEXED`, and of `schema.`. Both must go when a CTE stands in for the table. */
  readonly hints: readonly Range[];
}

export interface ResultColumn {
  /** The expression, without its alias. */
  readonly expr: Range;
  readonly alias: string | undefined;
  /** `*` or `t.*`: the qualifier, or '' for the bare star. */
  readonly star: string | undefined;
}

/** One SELECT of a compound, or one VALUES list. */
export interface Core {
  readonly distinct: boolean;
  readonly columns: readonly ResultColumn[];
  readonly from: readonly Source[];
  /** FROM holds a parenthesised join: its tables are known, its conditions are not read. */
  readonly opaqueFrom: boolean;
  /** The ON of parenthesised joins. */
  readonly groupConditions: readonly Range[];
  /** The rows of VALUES; none for a SELECT. */
  readonly values: readonly Range[];
  readonly where: Range | undefined;
  readonly groupBy: readonly Range[];
  readonly having: Range | undefined;
  readonly window: Range | undefined;
  /** Where the result columns end: hidden columns are put here. */
  readonly columnsEnd: number;
  readonly range: Range;
}

export interface OrderTerm {
  readonly expr: Range;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last' | undefined;
  readonly collation: string | undefined;
}

export interface Cte {
  readonly name: string;
  readonly columns: readonly string[];
  /** Undefined for a body that is no SELECT. */
  readonly select: Select | undefined;
}

export interface Select {
  readonly kind: 'select';
  readonly ctes: readonly Cte[];
  readonly recursive: boolean;
  readonly cores: readonly Core[];
  readonly orderBy: readonly OrderTerm[];
  readonly limit: Range | undefined;
  readonly offset: Range | undefined;
  /** From LIMIT to the end. */
  readonly limitClause: Range | undefined;
  readonly range: Range;
}

export interface OnConflict {
  /** The columns of the conflict target; undefined when there is none. */
  readonly target: readonly string[] | undefined;
  readonly update: readonly Assignment[] | undefined;
  readonly where: Range | undefined;
}

export interface Assignment {
  /** One name, or several for `(a, b) = (...)`. */
  readonly columns: readonly string[];
  readonly value: Range;
}

export interface Insert {
  readonly kind: 'insert';
  /** The token of INSERT or REPLACE, behind WITH. */
  readonly verb: number;
  readonly ctes: readonly Cte[];
  readonly recursive: boolean;
  /** REPLACE, or INSERT OR <action>. */
  readonly conflictAction: string | undefined;
  readonly target: Source;
  readonly columns: readonly string[] | undefined;
  /** The column list, or where it would stand. */
  readonly columnsRange: Range;
  readonly rows: readonly { readonly range: Range; readonly values: readonly Range[] }[] | undefined;
  readonly select: Select | undefined;
  readonly defaultValues: boolean;
  readonly onConflict: readonly OnConflict[];
  readonly returning: readonly ResultColumn[] | undefined;
  readonly returningRange: Range | undefined;
  readonly range: Range;
}

/** An UPDATE or a DELETE. */
export interface Modification {
  readonly kind: 'update' | 'delete';
  /** The token of UPDATE or DELETE, behind WITH. */
  readonly verb: number;
  readonly ctes: readonly Cte[];
  readonly recursive: boolean;
  readonly conflictAction: string | undefined;
  readonly target: Source;
  readonly set: readonly Assignment[];
  readonly from: readonly Source[];
  /** What stands behind FROM. */
  readonly fromRange: Range | undefined;
  readonly opaqueFrom: boolean;
  readonly groupConditions: readonly Range[];
  readonly where: Range | undefined;
  readonly whereClause: Range | undefined;
  readonly returning: readonly ResultColumn[] | undefined;
  readonly returningRange: Range | undefined;
  readonly orderBy: readonly OrderTerm[];
  readonly limitClause: Range | undefined;
  /** ORDER BY and LIMIT together. */
  readonly tail: Range | undefined;
  readonly range: Range;
}

/** Schema changes, pragmas and everything that is not a row statement. */
export interface Other {
  readonly kind: 'ddl' | 'pragma' | 'explain' | 'transaction' | 'empty' | 'unknown';
  /** The leading words, lower case: `create table`. */
  readonly verb: string;
  readonly range: Range;
}

export type Statement = Select | Insert | Modification | Other;

/** A statement with the text and tokens that its ranges point into. */
export interface Parsed {
  readonly sql: string;
  readonly tokens: readonly Token[];
  readonly statement: Statement;
  /** How many values the text expects to be bound. */
  readonly paramCount: number;
}
