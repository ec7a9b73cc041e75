import type { CatalogView, Enrolled } from './catalog';
import type { Program } from './program';
import { changeProgram, NOT_ENROLLED } from './view';

const READY = `
shards.state = 'adding' and shards.awaits_reference = 0
  and not exists (select 1 from _shard_catalog_keyspaces as keyspaces where ${NOT_ENROLLED})`;

/** `Catalog.confirm`. One JSON parameter however many shards, as in `openProgram`. */
export function confirmProgram(done: readonly Enrolled[]): Program<CatalogView> {
  const pairs = JSON.stringify(done.map(({ shard, keyspaces, adoption = 0 }) => [shard, keyspaces, adoption]));
  return changeProgram([
    {
      sql: `insert into _shard_catalog_enrolled (shard, keyspace, adoption)
        select given.value ->> 0, told.value, given.value ->> 2
        from json_each(?1) as given, json_each(given.value, '$[1]') as told
        where given.value ->> 0 in (select name from _shard_catalog_shards)
          and told.value in (select name from _shard_catalog_keyspaces)
        on conflict do update set adoption = excluded.adoption where excluded.adoption > adoption`,
      params: [pairs],
    },
    {
      // Before the change that it announces, as in `openProgram`.
      sql: `update _shard_catalog_cluster set epoch = epoch + 1
        where exists (select 1 from _shard_catalog_shards as shards where ${READY})`,
      params: [],
    },
    { sql: `update _shard_catalog_shards as shards set state = 'active' where ${READY}`, params: [] },
  ]);
}
