import type { Condition, Expression, Order } from '../queries/recipe';

/** A row by the numbers of its keys and cells: each is taken modulo how many there are. */
export interface RowRecipe {
  readonly keys: readonly number[];
  readonly cells: readonly number[];
  /** A value that the database works out, for one of the cells. */
  readonly computed?: Expression | undefined;
}

export interface Assignment {
  readonly column: number;
  readonly value: { readonly type: 'cell'; readonly n: number } | { readonly type: 'excluded' } | Expression;
}

export type Conflict =
  | { readonly type: 'nothing'; readonly target: 'none' | 'primary' | 'unique' }
  | {
      readonly type: 'update';
      readonly target: 'primary' | 'unique';
      readonly set: readonly Assignment[];
      readonly where?: Condition | undefined;
    };

/** `columns`: a few; `all`: Drizzle's `returning()`. */
export type Returning = 'none' | 'all' | 'columns';

export interface Insert {
  readonly type: 'insert';
  readonly table: number;
  readonly rows: readonly RowRecipe[];
  readonly conflict?: Conflict | undefined;
  readonly returning: Returning;
}

/** Every post, or some, gets a tag: the rows stay on the shard that they come from. */
export interface InsertSelect extends OfUser {
  readonly type: 'insert select';
  readonly tag: number;
  readonly where?: Condition | undefined;
  readonly returning: Returning;
}

/** Only the rows of this user: set for the writes of a batch. */
interface OfUser {
  readonly user?: number;
}

/** The first rows by primary key. */
export interface Few {
  readonly order?: Order | undefined;
  readonly limit: number;
}

export interface Update extends OfUser {
  readonly type: 'update';
  readonly table: number;
  readonly set: readonly Assignment[];
  /** Sets the shard key to this cell too. */
  readonly key?: number | undefined;
  readonly where?: Condition | undefined;
  readonly few?: Few | undefined;
  readonly returning: Returning;
}

/** Takes a value over from the row that a key refers to. */
export interface UpdateFrom extends OfUser {
  readonly type: 'update from';
  readonly pair: number;
  readonly column: number;
  readonly from: number;
  readonly where?: Condition | undefined;
}

export interface Delete extends OfUser {
  readonly type: 'delete';
  readonly table: number;
  readonly where?: Condition | undefined;
  readonly few?: Few | undefined;
  readonly returning: Returning;
}

export type Write = Insert | InsertSelect | Update | UpdateFrom | Delete;

export interface Batch {
  readonly type: 'batch';
  readonly of: readonly Write[];
  /** All writes are to this user's rows, and so to one shard. */
  readonly user?: number | undefined;
}

export type Step = Write | Batch;
