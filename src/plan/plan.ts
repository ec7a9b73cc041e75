import type { Column, Table } from '../layout/table';
import type { ValueRef } from '../sql/conditions';
import type { Template } from '../sql/template';
import type { KeySet } from './key-set';
import type { Output } from './positional';

/**
 * What a statement's text alone says about how to run it. Kept in the plan cache; the bound values then decide which shards.
 */
export type Plan = ReadPlan | InsertPlan | WritePlan | EveryShardPlan;

/** Where the rows that one mention of a table can use live. */
export type Reach =
  | { readonly kind: 'keys'; readonly keyspace: string; readonly keys: KeySet }
  | { readonly kind: 'pinned'; readonly shard: string };

interface PlanBase {
  readonly tables: readonly string[];
  /** One for every mention of a table that is not replicated. */
  readonly reaches: readonly Reach[];
  /** The statement for the shard that owns everything it touches: as it is, or with long lists in one JSON parameter. */
  readonly whole: Template;
  readonly output: Output;
  /** How many values have to be bound. */
  readonly paramCount: number;
}

export interface ReadPlan extends PlanBase {
  readonly kind: 'read';
  /** How to run it on several shards and merge; undefined when the rows of several shards meet in it. */
  readonly scatter: ScatterStep | undefined;
  /** It names `rowid`, which means nothing across shards. */
  readonly rowid: boolean;
  /** How to fetch its rows and finish it on one shard. */
  readonly gather: () => GatherStep;
}

/** The same statement on several shards, its rows merged. */
export interface ScatterStep {
  readonly template: Template;
  /** The same with each column under a name of its own, when arrays are wanted. */
  readonly positional: Template;
  readonly reach: Reach;
  /** `sum`: every shard gives one row of counts, which are added up. */
  readonly merge: 'rows' | 'sum';
  /** Each adds its hidden columns at the end of the row. */
  readonly order: readonly OrderKey[];
  readonly limit: ValueRef | undefined;
  readonly offset: ValueRef | undefined;
}

export interface OrderKey {
  readonly text: string;
  readonly descending: boolean;
  readonly nulls: 'first' | 'last';
  readonly collation: string;
  /**
   * It may hold integers beyond 2^53, which JavaScript numbers cannot tell apart: a second hidden column follows, with the
   * text of such an integer, or null.
   */
  readonly large: boolean;
}

export interface GatherStep {
  /** How to go on where groups will not do, as where partial sums overflow: with the rows themselves. */
  readonly otherwise?: GatherStep;
  /** Bound values, by position, that have to be the same for this; else `otherwise`. */
  readonly same?: readonly (readonly [number, number])[];
  /** In an order in which each is linked to earlier ones only. */
  readonly tables: readonly GatherTable[];
  /** The statement, in two parts: the CTEs that stand in for the tables go between. */
  readonly head: Template;
  readonly body: Template;
  /** The statement has CTEs of its own: ours are followed by a comma instead of making the WITH. */
  readonly hasWith: boolean;
  /** Columns are called otherwise than in the statement, as their text is another. */
  readonly renamed: boolean;
}

/** The rows that stand in for one mention of a table, or for several. */
export interface GatherTable {
  readonly table: Table;
  /** The name of the CTE that holds them. */
  readonly name: string;
  readonly columns: readonly Column[];
  /**
   * Selects `x`, whether a value needs the exact decoding, then the columns as JSON arrays, then the values that later tables
   * are asked by, then the hidden columns of an order.
   */
  readonly fetch: Template;
  /** The fetch ends with a WHERE, which can be added to. */
  readonly filtered: boolean;
  readonly reaches: readonly Reach[];
  /** The shard key, where the keys are known from other tables: the fetch names those of `reaches`. */
  readonly key: Column | undefined;
  /** Each says which rows are enough; one of them is used. */
  readonly links: readonly GatherLink[];
  /** How many columns of values the fetch gives for later tables. */
  readonly gives: number;
  /** Only the first rows of all shards matter. */
  readonly top: GatherTop | undefined;
}

/** Rows matter only if a column of theirs has a value that rows fetched before have. */
export interface GatherLink {
  readonly column: Column;
  /** Set when the column is the shard key: only the owners of the values are asked. */
  readonly keyspace: string | undefined;
  /** The table whose rows are fetched before, by its place in the list. */
  readonly from: number;
  /** Which of its columns of values. */
  readonly value: number;
  readonly text: string;
}

export interface GatherTop {
  readonly order: readonly OrderKey[];
  readonly limit: ValueRef;
  readonly offset: ValueRef | undefined;
  /** They are enough only if the statement fills its page, of the same LIMIT, with them; else go on with `otherwise`. */
  readonly hopeful: boolean;
}

export interface InsertPlan extends PlanBase {
  readonly kind: 'insert';
  readonly table: Table;
  /** `found`: only as `source` says. */
  readonly mode: 'rows' | 'replicated' | 'pinned' | 'colocated' | 'found';
  /** For `rows`: what comes before and after the VALUES, and each row. */
  readonly head: Template;
  readonly tail: Template;
  readonly rows: readonly InsertRow[];
  /** Hidden at the end of RETURNING: the shard key, to put rows back in order when conflicts may drop some. */
  readonly returnsKey: boolean;
  readonly returning: boolean;
  /**
   * How to read what is inserted first, wherever it is, and then insert it as rows: for rows that are only known when they
   * were read, or that read others. Undefined where there is nothing to read, or where that would not do.
   */
  readonly source: SourceStep | undefined;
  /** Upserts that set the key: these values must equal the inserted one. */
  readonly keyUpdates: readonly ValueRef[];
  /** The column whose value comes from the table's sequence where it is left out or null. */
  readonly idColumn: string | undefined;
  /**
   * Reads the highest INTEGER PRIMARY KEY that expressions give, where another column is the shard key: the sequence has to
   * go on above it, as no constraint tells of a row with the same one on another shard.
   */
  readonly highestId: Template | undefined;
}

export interface SourceStep {
  /** Selects the shard key as text, the INTEGER PRIMARY KEY as text, and the row as JSON. */
  readonly find: Template;
  /** The INSERT up to the JSON array of rows, each after the id that it is given or null; and the rest. */
  readonly head: Template;
  readonly tail: Template;
  /** As for the plan. */
  readonly returnsKey: boolean;
}

export interface InsertRow {
  readonly template: Template;
  readonly key: ValueRef | undefined;
  /** What is given for the INTEGER PRIMARY KEY: a value, an expression, or nothing. */
  readonly id: ValueRef | 'other' | undefined;
}

export interface WritePlan extends PlanBase {
  readonly kind: 'update' | 'delete';
  readonly table: Table;
  readonly target: Reach | undefined;
  /** Each shard can run the statement on its own rows. */
  readonly local: boolean;
  /** Otherwise: find the rows first, and what is set where that reads others, then write them by primary key. */
  readonly twoPhase: TwoPhaseStep | undefined;
  /** What to write instead, where there is no such step. */
  readonly remedy: string;
  /** Values given to the shard key: they may only be the one it has. */
  readonly keyUpdates: readonly (ValueRef | 'unknown')[];
}

export interface TwoPhaseStep {
  /**
   * Selects the shard key as text, whether the primary key has a null, and the primary key as a JSON array; then the values to
   * set as another, if there are any.
   */
  readonly find: Template;
  readonly primaryKey: readonly string[];
  /** How many values were found along with each row, which `head` sets; `target` is what it calls the table. */
  readonly values: number;
  readonly target: string;
  /** The statement up to WHERE, and RETURNING; between them goes the condition on the primary key. */
  readonly head: Template;
  readonly tail: Template;
}

/** DDL, pragmas, and writes to replicated tables: the same on every shard. */
export interface EveryShardPlan extends PlanBase {
  readonly kind: 'every';
  /** A schema change: what was known of tables has to be asked again. */
  readonly ddl: boolean;
  /** Changes nothing when it stands alone: in a batch it goes wherever the others go. */
  readonly neutral: boolean;
}
