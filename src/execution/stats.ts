import type { Table } from '../layout/table';
import type { Attempt } from '../placement/attempt';
import { quoteName } from '../sql/tokens';
import type { TelemetrySnapshot } from '../telemetry/counters';
import { demandOf, type Executor } from './run';
import { rowsOf } from './shard-set';

/** How much of one table there is. */
export interface TableStats {
  readonly rows: number;
  /** Different shard keys; for a table that is not sharded, as many as rows. */
  readonly keys: number;
}

export interface ShardStats {
  readonly name: string;
  /** Size of the database in bytes, as D1 tells it. It ends at 10 GB. */
  readonly sizeBytes: number;
  /** The share of all slots that it owns, from 0 to 1: what it gets of new keys. */
  readonly slotShare: number;
  readonly tables: Readonly<Record<string, TableStats>>;
}

export interface ClusterStats {
  readonly shards: readonly ShardStats[];
  /** All shards together. A replicated table counts once. */
  readonly tables: Readonly<Record<string, TableStats>>;
  /** The epoch of the map: it grows with every change of shards, slots and strategies. */
  readonly epoch: number;
  /** Calls, errors, retries and latencies since this database object was made. */
  readonly calls: TelemetrySnapshot;
}

/** Counts the rows of the schema's tables: one batch on each shard, which reads every row once. */
export function clusterStats(executor: Executor): Promise<ClusterStats> {
  return executor.accepted([], (attempt) => statsOf(executor, attempt));
}

async function statsOf(executor: Executor, attempt: Attempt): Promise<ClusterStats> {
  const { cluster, shards } = executor;
  const { planner, telemetry } = cluster;
  const { layout } = planner;
  const tables = layout.declared();
  const purpose = { tables: tables.map((table) => table.name), write: false };
  // A batch may not be empty, and its result tells the size of the database.
  const statements = [
    { sql: 'select 1', params: [] },
    ...tables.map((table) => ({ sql: countSql(table), params: [] })),
  ];
  const counted = await shards.forEach(attempt.everyShard(), async (name): Promise<ShardStats> => {
    const { results } = await shards.guarded(demandOf(attempt, name, [], false), statements, purpose);
    const [first, ...counts] = results.map(rowsOf);
    const own = tables.map((table, i): [string, TableStats] => {
      const [rows, keys] = counts[i]?.rows[0] ?? [];
      return [table.name, { rows: Number(rows), keys: Number(keys) }];
    });
    return {
      name,
      sizeBytes: first?.meta.size_after ?? 0,
      slotShare: attempt.routing.shareOf(name),
      tables: Object.fromEntries(own),
    };
  });
  return {
    shards: counted,
    tables: Object.fromEntries(tables.map((table) => [table.name, total(table, counted)])),
    epoch: attempt.routing.map.epoch,
    calls: telemetry.snapshot(),
  };
}

function countSql({ name, placement }: Table): string {
  const keys = placement.kind === 'sharded' ? `count(distinct ${quoteName(placement.key.name)})` : 'count(*)';
  return `select count(*) as "rows", ${keys} as "keys" from ${quoteName(name)}`;
}

function total({ name, placement }: Table, shards: readonly ShardStats[]): TableStats {
  const parts = shards.map((shard) => shard.tables[name] ?? { rows: 0, keys: 0 });
  if (placement.kind === 'replicated') return parts[0] ?? { rows: 0, keys: 0 };
  return parts.reduce((sum, part) => ({ rows: sum.rows + part.rows, keys: sum.keys + part.keys }));
}
