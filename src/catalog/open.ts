import { SLOTS } from '../placement/slots';
import type { CatalogView, OpenRequest } from './catalog';
import { checkOpenRequest, WEIGHT_UNIT } from './check-request';
import type { Program } from './program';
import { changeProgram } from './view';

const CREATE_CLUSTER = `
insert into _shard_catalog_cluster (one, id, epoch, base)
values (1, lower(hex(randomblob(16))), 0, 0) on conflict do nothing`;

/** Of a known shard and one that was given: what the request leaves out is null, and no difference. */
const SHARD_DIFFERS = `(
  coalesce(given.value ->> 1, known.region) is not known.region
  or coalesce(given.value ->> 2, known.weight) is not known.weight)`;

/** Runs before the changes that it announces. First contact always brings a shard, so it ends at epoch 1. */
const COUNT_EPOCH = `
update _shard_catalog_cluster set epoch = epoch + 1
where
  exists (
    select 1 from json_each(?1) as given left join _shard_catalog_shards as known on known.name = given.value ->> 0
    where known.name is null or ${SHARD_DIFFERS})
  or exists (
    select 1 from json_each(?2) as given left join _shard_catalog_keyspaces as known on known.name = given.value ->> 0
    where known.strategy is not given.value ->> 1)`;

const UPDATE_SHARDS = `
update _shard_catalog_shards as known
set region = coalesce(given.value ->> 1, known.region), weight = coalesce(given.value ->> 2, known.weight)
from json_each(?1) as given
where known.name = given.value ->> 0 and ${SHARD_DIFFERS}`;

/** Beyond first contact, which is epoch 1, a shard is late: it joins a cluster whose digests must go on adding up. */
const REGISTER_SHARDS = `
insert into _shard_catalog_shards (name, region, weight, state, join_weight, awaits_reference)
select
  value ->> 0, value ->> 1, coalesce(value ->> 2, 1), iif(late or value ->> 3, 'adding', 'active'),
  iif(late, max(random() & ${2 ** 52 - 1}, 1), 0), value ->> 3 or late and cast(?2 as integer)
from json_each(?1), (select epoch > 1 as late from _shard_catalog_cluster)
where true order by key
on conflict do nothing`;

const REGISTER_KEYSPACES = `
insert into _shard_catalog_keyspaces (name, strategy, directory)
select value ->> 0, value ->> 1, value ->> 1 <> 'hash' from json_each(?1) where true
on conflict do update set strategy = excluded.strategy, directory = max(directory, excluded.directory)
  where strategy <> excluded.strategy`;

/** Runs before shards and keyspaces are registered: what is known of both was looked at before. */
const REGISTER_ADOPTIONS = `
insert into _shard_catalog_adoptions (keyspace, shard)
select given.value ->> 0, adopts.value from json_each(?1) as given, json_each(given.value, '$[3]') as adopts
where not exists (select 1 from _shard_catalog_keyspaces where name = given.value ->> 0)
  or not exists (select 1 from _shard_catalog_shards where name = adopts.value)
on conflict do nothing`;

/** A new keyspace whose rows are all in one database begins there. */
const GIVE_TO_OWNERS = `
insert into _shard_catalog_slots (keyspace, lo, hi, shard)
select value ->> 0, 0, ${SLOTS - 1}, value ->> 2 from json_each(?1)
where value ->> 2 in (select name from _shard_catalog_shards where state = 'active')
  and not exists (select 1 from _shard_catalog_slots where keyspace = value ->> 0)`;

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

/** `Catalog.open`. Two JSON parameters however many shards: D1 binds 100 parameters at most. */
export function openProgram(request: OpenRequest): Program<CatalogView> {
  checkOpenRequest(request);
  const shards = JSON.stringify(
    request.shards.map(({ name, region, weight, lacksReference = false }) => [
      name,
      region ?? null,
      weight ?? null,
      lacksReference ? 1 : 0,
    ]),
  );
  const keyspaces = JSON.stringify(
    request.keyspaces.map(({ name, strategy, owner, adopts = [] }) => [name, strategy, owner ?? null, adopts]),
  );
  return changeProgram([
    { sql: CREATE_CLUSTER, params: [] },
    { sql: COUNT_EPOCH, params: [shards, keyspaces] },
    { sql: REGISTER_ADOPTIONS, params: [keyspaces] },
    { sql: UPDATE_SHARDS, params: [shards] },
    { sql: REGISTER_SHARDS, params: [shards, request.referenceTables ? '1' : '0'] },
    { sql: REGISTER_KEYSPACES, params: [keyspaces] },
    { sql: GIVE_TO_OWNERS, params: [keyspaces] },
    { sql: SPREAD_NEW_KEYSPACES, params: [] },
    { sql: REFUSE_UNSPREAD, params: [] },
  ]);
}
