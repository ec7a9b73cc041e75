import type { Column } from '../layout/table';
import type { PlacedKey } from '../placement/guard';
import type { Placement } from '../placement/placement';
import { keysOf } from '../plan/key-set';
import type { GatherTable, OrderKey, Plan, Reach, TwoPhaseStep } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { bindTemplate, type Template } from '../sql/template';
import type { StatementLimits } from './gather';
import type { RowFormat } from './shard-set';

/** How one statement with its values will be run: data, printable, and nothing has been run yet. */
export type Route = SingleRoute | ScatterRoute | GatherRoute | InsertRoute | BroadcastRoute | TwoPhaseRoute;

/** Which rows a statement can use, and where they are believed to be. */
export interface Spread {
  readonly shards: readonly string[];
  /** Every key that it names, with its owner. */
  readonly keys: readonly PlacedKey[];
  /** It uses rows of any key: then all shards answer, and ownership may not change between their answers. */
  readonly all: boolean;
}

/** The shards to ask are those of the spread. */
interface Multi extends Spread {
  /** The names of the result's columns; undefined where only the database knows them. */
  readonly names?: readonly string[] | undefined;
  /** The statement runs with names of ours. */
  readonly renamed: boolean;
  /** What was read already to make the route: rows to insert, or to write. */
  readonly found?: BoundStatement;
}

export interface SingleRoute extends Multi {
  readonly kind: 'single';
  readonly shard: string;
  readonly statement: BoundStatement;
  readonly write: boolean;
}

export interface ScatterRoute extends Multi {
  readonly kind: 'scatter';
  readonly statement: BoundStatement;
  readonly merge: 'rows' | 'sum';
  readonly order: readonly OrderKey[];
  readonly offset: number;
  readonly limit: number | undefined;
}

export interface GatherRoute extends Multi {
  readonly kind: 'gather';
  readonly fetches: readonly GatherFetch[];
  /** The fetches by place, those that can be made at the same time together: each is linked to ones before. */
  readonly levels: readonly (readonly number[])[];
  readonly finishOn: string;
  readonly head: BoundStatement;
  readonly body: BoundStatement;
  readonly hasWith: boolean;
  /** How many columns it has, where they need names of ours; undefined: not known. */
  readonly renames: { readonly count: number | undefined } | undefined;
  /** With the rows themselves, where partial sums overflow. */
  readonly otherwise: (() => Promise<GatherRoute>) | undefined;
}

/** How the rows of a table are fetched, and where they are as far as it is known before other rows are. */
export interface GatherFetch extends Spread {
  readonly table: GatherTable;
  readonly statement: BoundStatement;
  /** It ends with a WHERE, which can be added to. */
  readonly filtered: boolean;
  /** Only the first rows of all shards are kept. */
  readonly top:
    | {
        readonly order: readonly OrderKey[];
        readonly limit: number | undefined;
        /** How many rows the statement has to give for these to be enough. */
        readonly page: number | undefined;
      }
    | undefined;
}

export interface InsertRoute extends Multi {
  readonly kind: 'insert';
  readonly parts: readonly InsertPart[];
  readonly returning: boolean;
  readonly returnsKey: boolean;
  /** The canonical key of each inserted row, in the order given. */
  readonly rowKeys: readonly string[];
  /** The statements for some of the rows: when a shard refuses its part, the rows are given to their new owners. */
  readonly statementsFor: (rows: readonly number[]) => BoundStatement[];
}

export interface InsertPart {
  readonly shard: string;
  readonly keys: readonly PlacedKey[];
  readonly statements: readonly BoundStatement[];
  /** Which rows of the INSERT it holds. */
  readonly rows: readonly number[];
}

/** The same write on several shards. */
export interface BroadcastRoute extends Multi {
  readonly kind: 'broadcast';
  /** More than one where an INSERT binds too many values for one: a transaction on each shard. */
  readonly statements: readonly BoundStatement[];
  /** Each shard has the same rows (a replicated table, DDL): the first answers for all and goes first. */
  readonly same: boolean;
  readonly ddl: boolean;
}

export interface TwoPhaseRoute extends Multi {
  readonly kind: 'two-phase';
  readonly find: BoundStatement;
  readonly step: TwoPhaseStep;
  readonly key: Column;
  readonly keyspace: string;
  readonly params: readonly unknown[];
}

/** What routing asks of its surroundings. */
export interface RouteContext {
  readonly placement: Placement;
  readonly sql: string;
  readonly format: RowFormat;
  /** Of rows that are read first. */
  readonly limits: StatementLimits;
  /** The next numbers of a table's sequence. */
  readonly nextIds: (table: string, count: number) => Promise<string[]>;
  /** A row comes with an id of its own, which the sequence must not give to another. */
  readonly passOver: (table: string, id: number) => Promise<void>;
  /** Runs a read through this same machinery, for writes that must look first. */
  readonly read: (statement: BoundStatement) => Promise<readonly (readonly unknown[])[]>;
}

/** The shards that own the rows which some mentions of tables can use. */
export async function spreadOf(
  reaches: readonly Reach[],
  params: readonly unknown[],
  placement: Placement,
): Promise<Spread> {
  const shards = new Set<string>();
  const placed: PlacedKey[] = [];
  let all = false;
  for (const reach of reaches) {
    if (reach.kind === 'pinned') {
      shards.add(reach.shard);
      continue;
    }
    const keys = keysOf(reach.keys, params);
    if (keys === 'all') all = true;
    else placed.push(...(await placement.place(reach.keyspace, keys)));
  }
  if (all) return { shards: placement.everyShard(), keys: placed, all };
  for (const { shard } of placed) shards.add(shard);
  // In the placement's order, so that the same statement always asks and merges in the same order.
  const ordered = shards.size < 2 ? [...shards] : placement.shards.filter((shard) => shards.has(shard));
  return { shards: ordered, keys: placed, all };
}

export const bindStatement = (template: Template, params: readonly unknown[]): BoundStatement => ({
  sql: template.sql,
  params: bindTemplate(template, params),
});

/** The statement as it is, or with names of ours for its columns where objects would lose some. */
export function wholeOf(
  { whole, output }: Pick<Plan, 'whole' | 'output'>,
  params: readonly unknown[],
  format: RowFormat,
): { readonly statement: BoundStatement; readonly names: readonly string[] | undefined; readonly renamed: boolean } {
  const { names, positional } = output;
  // Without names to give back, objects are left to D1.
  const renames = positional !== undefined && (names !== undefined || format === 'arrays');
  const statement = bindStatement(renames ? positional : whole, params);
  // A write without RETURNING has no columns.
  return { statement: { ...statement, givesRows: names?.length !== 0 }, names, renamed: renames };
}
