import type { Condition, Order } from '../queries/recipe';

/** A relational query, or one level of it. */
export interface Level {
  /** Undefined: all columns that JSON can hold. */
  readonly columns?: readonly number[] | undefined;
  readonly where?: Condition | undefined;
  readonly order: readonly Order[];
  /** Completes the order by the primary key. */
  readonly total: boolean;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly extra?: number | undefined;
  readonly with: readonly { readonly relation: number; readonly level: Level }[];
}

export interface RelationalQuery {
  readonly table: number;
  /** `findFirst`, which needs an order. */
  readonly first: boolean;
  readonly level: Level;
}
