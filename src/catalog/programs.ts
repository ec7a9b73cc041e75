import { SLOTS } from '../placement/slots';
import type { Block, KeyspaceMap, OpenRequest, ShardInfo, ShardMap, SlotRange } from './catalog';
import { checkBlockRequest, checkOpenRequest, WEIGHT_UNIT } from './check-request';

/** Params are text: a number would be bound as REAL, by D1 as by a Durable Object. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly string[];
}

export type Row = Readonly<Record<string, unknown>>;

/**
 * One operation of the catalog. The statements run in one transaction and decide everything inside it: a caller that
 * read first and wrote later could act on what another has changed meanwhile.
 */
export interface Program<T> {
  readonly statements: readonly Statement[];
  /** Turns the rows of each statement into the answer. */
  read(results: readonly (readonly Row[])[]): T;
}

const READ_MAP: readonly Statement[] = [
  'select id, epoch, base from _shard_catalog_cluster',
  'select name, region, weight, state from _shard_catalog_shards order by position',
  'select name, strategy from _shard_catalog_keyspaces order by name',
  'select keyspace, lo, hi, shard from _shard_catalog_slots order by keyspace, lo',
].map((sql) => ({ sql, params: [] }));

/**
 * Cuts the slots of every keyspace that has none into one range per active shard. Range i begins at
 * ceil(weights before i / all weights * slots), which for equal weights is `evenRanges`; a shard whose weight is too
 * small for a slot gets none.
 */
const SPREAD_NEW_KEYSPACES = `
insert into _shard_catalog_slots (keyspace, lo, hi, shard)
with
  fresh as (
    select name from _shard_catalog_keyspaces
    where not exists (select 1 from _shard_catalog_slots where keyspace = _shard_catalog_keyspaces.name)),
  -- Empty when nothing is to be spread, so that an open which changes nothing is spared the work.
  active as (
    select position, name, cast(round(weight * ${WEIGHT_UNIT}) as integer) as share
    from _shard_catalog_shards where state = 'active' and exists (select 1 from fresh)),
  starts as (
    -- The total as a scalar subquery, which SQLite computes once; joined, it was computed again for every shard.
    select position, name,
      ((sum(share) over (order by position) - share) * ${SLOTS} + (select sum(share) from active) - 1)
        / (select sum(share) from active) as lo
    from active),
  ranges as (select name, lo, lead(lo, 1, ${SLOTS}) over (order by position) - 1 as hi from starts)
select fresh.name, ranges.lo, ranges.hi, ranges.name from fresh, ranges where ranges.lo <= ranges.hi`;

/** A keyspace without slots would have nowhere to put a row: the error rolls the whole transaction back. */
const REFUSE_UNSPREAD = `
select json_extract('{}', 'SHARD_NO_ACTIVE_SHARD for the new keyspace ' || name) from _shard_catalog_keyspaces
where not exists (select 1 from _shard_catalog_slots where keyspace = name)`;

/** {@link Catalog.open}. Two JSON parameters however many shards: D1 binds 100 parameters at most. */
export function openProgram(request: OpenRequest): Program<ShardMap> {
  checkOpenRequest(request);
  const shards = JSON.stringify(request.shards.map(({ name, region, weight }) => [name, region ?? null, weight ?? 1]));
  const keyspaces = JSON.stringify(request.keyspaces.map(({ name, strategy }) => [name, strategy]));
  const statements: Statement[] = [
    {
      sql: `insert into _shard_catalog_cluster (one, id, epoch, base)
        values (1, lower(hex(randomblob(16))), 0, 0) on conflict do nothing`,
      params: [],
    },
    {
      // Before the inserts that it announces. First contact always brings a shard, so it ends at epoch 1.
      sql: `update _shard_catalog_cluster set epoch = epoch + 1
        where exists (select 1 from json_each(?1) where value ->> 0 not in (select name from _shard_catalog_shards))
          or exists (select 1 from json_each(?2) where value ->> 0 not in (select name from _shard_catalog_keyspaces))`,
      params: [shards, keyspaces],
    },
    {
      sql: `insert into _shard_catalog_shards (name, region, weight, state)
        select value ->> 0, value ->> 1, value ->> 2, 'active' from json_each(?1) where true order by key
        on conflict do nothing`,
      params: [shards],
    },
    {
      sql: `insert into _shard_catalog_keyspaces (name, strategy)
        select value ->> 0, value ->> 1 from json_each(?1) where true on conflict do nothing`,
      params: [keyspaces],
    },
    { sql: SPREAD_NEW_KEYSPACES, params: [] },
    { sql: REFUSE_UNSPREAD, params: [] },
    ...READ_MAP,
  ];
  return {
    statements,
    read: (results) => {
      const map = readMap(results.slice(-READ_MAP.length));
      if (!map) throw new Error('The catalog has no cluster right after it was created.');
      return map;
    },
  };
}

/** {@link Catalog.map}. */
export const mapProgram: Program<ShardMap | undefined> = { statements: READ_MAP, read: readMap };

/** {@link Catalog.block}. */
export function blockProgram(counter: string, size: number, atLeast = 0): Program<Block> {
  checkBlockRequest(size, atLeast);
  // The lowest number that may be given. 2^53, after the last safe integer, is exact too, and the table's check refuses it.
  const first = Math.max(atLeast, 0) + 1;
  return {
    statements: [
      {
        sql: `insert into _shard_catalog_counters (name, next) values (?1, cast(?2 as integer) + cast(?3 as integer))
          on conflict do update set next = max(next, cast(?2 as integer)) + cast(?3 as integer) returning next`,
        params: [counter, String(first), String(size)],
      },
    ],
    read: ([rows]) => {
      const next = Number(rows?.[0]?.next);
      return { from: next - size, to: next - 1 };
    },
  };
}

function readMap(results: readonly (readonly Row[])[]): ShardMap | undefined {
  const [[cluster] = [], shards = [], keyspaces = [], slots = []] = results;
  if (!cluster) return undefined;
  const maps = new Map<string, KeyspaceMap>();
  for (const { name, strategy } of keyspaces) maps.set(String(name), { strategy: String(strategy), ranges: [] });
  for (const row of slots) maps.get(String(row.keyspace))?.ranges.push(readRange(row));
  return {
    cluster: String(cluster.id),
    epoch: Number(cluster.epoch),
    base: Number(cluster.base),
    shards: shards.map(readShard),
    keyspaces: Object.fromEntries(maps),
  };
}

const readRange = ({ lo, hi, shard }: Row): SlotRange => ({ lo: Number(lo), hi: Number(hi), shard: String(shard) });

const readShard = ({ name, region, weight, state }: Row): ShardInfo => ({
  name: String(name),
  ...(region === null ? {} : { region: String(region) }),
  weight: Number(weight),
  state: state as ShardInfo['state'],
});
