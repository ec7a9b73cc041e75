import { ConfigError, MoveRefusedError } from '../errors';
import { placeTable } from '../layout/placement-rules';
import { type Placement, sameName } from '../layout/table';
import { foldName } from '../sql/tokens';
import type { ShardSchema, TableInfo, TriggerInfo } from './schema';
import { type MoveSpec, triggerMode } from './spec';

/** A table whose rows are moved. */
export interface CarriedTable {
  readonly name: string;
  /** Its shard-key column; undefined for a reference table, which is copied whole. */
  readonly key: string | undefined;
  /** It holds texts as they are; a column of numbers makes numbers of some. */
  readonly isTextKey: boolean;
  readonly columns: readonly string[];
  /** What rows are paged by: the name under which the row id is reachable, or the columns of the primary key. */
  readonly rowid: string | undefined;
  readonly primaryKey: readonly string[];
  /** Column lists of which no two rows may agree. */
  readonly uniques: readonly (readonly string[])[];
  /** Foreign keys to rows of its own that are ON DELETE RESTRICT. */
  readonly restricts: readonly { readonly columns: readonly string[]; readonly foreignColumns: readonly string[] }[];
}

/** What a move takes along. */
export interface Cargo {
  /** Parents before children, as far as foreign keys make no circle. */
  readonly tables: readonly CarriedTable[];
  /** Foreign keys make a circle: they are checked at the end. */
  readonly circular: boolean;
  /** Triggers that must not run while rows land. */
  readonly silentAtLanding: readonly TriggerInfo[];
  readonly silentAtRelease: readonly TriggerInfo[];
  /** Tables that the package cannot spread; a move is refused when they have rows. */
  readonly unusable: readonly string[];
  readonly sourceText: string;
  readonly targetText: string;
}

/**
 * Decides which tables go along when keys of a keyspace leave `source` for `target`, or why that would not be safe. Pure.
 *
 * @throws MoveRefusedError
 */
export function planCargo(spec: MoveSpec, keyspace: string, source: ShardSchema, target: ShardSchema): Cargo {
  const placed = placements(spec, source);
  const carries = (placement: Placement | undefined) =>
    placement?.kind === 'sharded' && placement.keyspace === keyspace;
  const names = [...source.tables.keys()].filter((name) => carries(placed.get(name)));
  const infos = names.map((name) => source.tables.get(name) as TableInfo);
  checkForeignKeys(source, placed, keyspace);
  return cargoOf(spec, infos, source, target, {
    keyOf: ({ name }) => {
      const placement = placed.get(foldName(name));
      return placement?.kind === 'sharded' ? placement.key.name : undefined;
    },
    leaves: true,
    unusable: [...source.tables].flatMap(([name, info]) => (placed.has(name) ? [] : [info.name])),
  });
}

/** The same for the reference tables, which are copied. @throws MoveRefusedError */
export function planReferences(spec: MoveSpec, source: ShardSchema, target: ShardSchema): Cargo {
  const placed = placements(spec, source);
  const infos = [...source.tables].flatMap(([name, info]) => (placed.get(name)?.kind === 'replicated' ? [info] : []));
  return cargoOf(spec, infos, source, target, { keyOf: () => undefined, leaves: false, unusable: [] });
}

function cargoOf(
  spec: MoveSpec,
  infos: readonly TableInfo[],
  source: ShardSchema,
  target: ShardSchema,
  how: {
    readonly keyOf: (info: TableInfo) => string | undefined;
    readonly leaves: boolean;
    readonly unusable: readonly string[];
  },
): Cargo {
  for (const info of infos) checkSameForm(info, target.tables.get(foldName(info.name)));
  const { order, circular } = parentsFirst(infos);
  return {
    tables: carriedTables(order, how.keyOf),
    circular,
    silentAtLanding: silentTriggers(spec, target, infos, 'insert'),
    silentAtRelease: how.leaves ? silentTriggers(spec, source, infos, 'delete') : [],
    unusable: how.unusable,
    sourceText: source.text,
    targetText: target.text,
  };
}

/** How the rows of each table are spread; those that cannot be are left out. */
export function placements(spec: MoveSpec, { tables }: ShardSchema): Map<string, Placement> {
  const placed = new Map<string, Placement>();
  for (const [name, info] of tables) {
    const rule = spec.tables[name];
    try {
      placed.set(
        name,
        placeTable(info.shape, rule, rule?.shard === undefined ? [] : [rule.shard], rule?.key).placement,
      );
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
  }
  return placed;
}

/** Tables as they are read and written when rows travel. @throws MoveRefusedError */
export const carriedTables = (
  infos: readonly TableInfo[],
  keyOf: (info: TableInfo) => string | undefined,
): CarriedTable[] => infos.map((info) => carried(info, keyOf(info)));

const referredTo = (foreignColumns: readonly string[], parent: TableInfo): readonly string[] =>
  foreignColumns.length > 0 ? foreignColumns : parent.primaryKey;

const ROWID_NAMES = ['rowid', '_rowid_', 'oid'];

function carried(info: TableInfo, key: string | undefined): CarriedTable {
  const { shape, name, withoutRowid } = info;
  const rowid = withoutRowid
    ? undefined
    : ROWID_NAMES.find((one) => !shape.columns.some((column) => sameName(column.name, one)));
  if (!withoutRowid && rowid === undefined) {
    throw new MoveRefusedError(`${name} has columns named rowid, _rowid_ and oid: its rows cannot be listed.`, {
      tables: [name],
      remedy: 'Rename one of them.',
    });
  }
  return {
    name,
    key,
    isTextKey: shape.columns.some((column) => column.affinity === 'text' && sameName(column.name, key ?? '')),
    columns: info.stored,
    rowid,
    primaryKey: info.primaryKey,
    uniques: [info.primaryKey, ...shape.uniques].filter((list) => list.length > 0 && !list.includes('')),
    restricts: info.foreignKeys
      .filter(({ table, onDelete }) => sameName(table, name) && onDelete === 'RESTRICT')
      .map(({ columns, foreignColumns }) => ({ columns, foreignColumns: referredTo(foreignColumns, info) })),
  };
}

function checkSameForm(info: TableInfo, other: TableInfo | undefined): void {
  if (other?.form === info.form) return;
  throw new MoveRefusedError(
    other
      ? `The columns of ${info.name} are not the same on both shards: values could change on the way.`
      : `The target has no table ${info.name}.`,
    { tables: [info.name], remedy: 'Run the same migrations on both, then move again.' },
  );
}

/**
 * Rows may only refer to rows that go along, or are everywhere. Where another table refers to rows that leave, releasing them
 * would delete or empty its rows.
 */
function checkForeignKeys({ tables }: ShardSchema, placed: ReadonlyMap<string, Placement>, keyspace: string): void {
  for (const [name, child] of tables) {
    for (const key of child.foreignKeys) {
      const parent = tables.get(foldName(key.table));
      const above = placed.get(foldName(key.table));
      const below = placed.get(name);
      const parentMoves = above?.kind === 'sharded' && above.keyspace === keyspace;
      const childMoves = below?.kind === 'sharded' && below.keyspace === keyspace;
      if (!parent || (!parentMoves && (!childMoves || above?.kind === 'replicated'))) continue;
      const foreign = referredTo(key.foreignColumns, parent);
      const together =
        above?.kind === 'sharded' &&
        below?.kind === 'sharded' &&
        above.keyspace === below.keyspace &&
        key.columns.some((column, i) => sameName(column, below.key.name) && sameName(foreign[i] ?? '', above.key.name));
      if (together) continue;
      throw new MoveRefusedError(
        `${child.name}(${key.columns.join(', ')}) refers to ${parent.name}, whose rows do not move together with it${key.onDelete === 'NO ACTION' ? '' : ` (ON DELETE ${key.onDelete})`}.`,
        {
          tables: [child.name, parent.name],
          remedy: `${remedyFor(child, parent, key.columns, foreign, below, above)}, or drop the foreign key.`,
        },
      );
    }
  }
}

/** What makes a foreign key one between rows that move together. */
function remedyFor(
  child: TableInfo,
  parent: TableInfo,
  columns: readonly string[],
  foreign: readonly string[],
  below: Placement | undefined,
  above: Placement | undefined,
): string {
  if (below?.kind === 'sharded' && above?.kind === 'sharded' && below.keyspace === above.keyspace) {
    const [own, others] = [below.key.name, above.key.name];
    if (!foreign.some((column) => sameName(column, others)) && !columns.some((column) => sameName(column, own))) {
      const target = [others, ...foreign].join(', ');
      return `Write FOREIGN KEY (${[own, ...columns].join(', ')}) REFERENCES ${parent.name} (${target}), the latter UNIQUE`;
    }
    if (child === parent) return `Spread ${child.name} by a column that such rows share`;
  }
  return `Give ${child.name} the shard key of ${parent.name}`;
}

const quoted = (name: string): string => (/['\\]/.test(name) ? JSON.stringify(name) : `'${name}'`);

function silentTriggers(
  spec: MoveSpec,
  { triggers }: ShardSchema,
  infos: readonly TableInfo[],
  event: TriggerInfo['event'],
): TriggerInfo[] {
  const own = triggers.filter(
    (trigger) => trigger.event === event && infos.some(({ name }) => sameName(name, trigger.table)),
  );
  return own.filter(({ name, table }) => {
    const mode = triggerMode(spec, name);
    if (mode !== undefined) return mode === 'silent';
    throw new MoveRefusedError(`The trigger ${name} on ${table} would run on the rows that are moved.`, {
      tables: [table],
      remedy: `Write moveTriggers: { ${quoted(name)}: 'fire' } in the configuration (it keeps a table in step, such as a full-text index) or 'silent' (it writes a log).`,
    });
  });
}

function parentsFirst(infos: readonly TableInfo[]): {
  readonly order: readonly TableInfo[];
  readonly circular: boolean;
} {
  const order: TableInfo[] = [];
  let left = [...infos];
  while (left.length > 0) {
    const ready = left.filter((info) =>
      info.foreignKeys.every(
        // A row may refer to another one of its own table: one statement writes them all.
        ({ table }) => sameName(table, info.name) || !left.some(({ name }) => sameName(name, table)),
      ),
    );
    if (ready.length === 0) return { order: [...order, ...left], circular: true };
    order.push(...ready);
    left = left.filter((info) => !ready.includes(info));
  }
  return { order, circular: false };
}
