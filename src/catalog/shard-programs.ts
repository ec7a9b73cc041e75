import type { MoveJournal } from './journal';
import type { Operations } from './operations';
import { type Statement, statement } from './program';
import { changeProgram, NOT_ENROLLED } from './view';

/** One epoch later, if the condition on the shard ?1 holds; it stands before the change that it announces. */
const countEpoch = (condition: string, ...params: string[]): Statement =>
  statement(
    `update _shard_catalog_cluster set epoch = epoch + 1
      where exists (select 1 from _shard_catalog_shards where name = ?1 and ${condition})`,
    ...params,
  );

type ShardOperations = Pick<MoveJournal, 'activate' | 'setDraining' | 'retire'>;

/**
 * May a shard leave? It owns no slots, no move goes there or comes from it, and its drain was not cancelled. While another one
 * joins, its weight may be in this one's digest already and not yet in the catalog.
 */
const LEAVES = `state = 'draining' and not exists (select 1 from _shard_catalog_slots where shard = ?1)
  and not exists (select 1 from _shard_catalog_moves where state = 'open' and ("from" = ?1 or "to" = ?1))
  and exists (select 1 from _shard_catalog_jobs where id = cast(?2 as integer) and state = 'running')
  and not exists (select 1 from _shard_catalog_shards as shards cross join _shard_catalog_keyspaces as keyspaces
    where shards.state <> 'retired' and ${NOT_ENROLLED})`;

export const shardOperations: Operations<ShardOperations> = {
  activate: (shard) =>
    changeProgram([
      countEpoch("state = 'adding'", shard),
      statement(
        `update _shard_catalog_shards set state = 'active', awaits_reference = 0 where name = ?1 and state = 'adding'`,
        shard,
      ),
    ]),
  setDraining: (shard, draining) => {
    const from = draining ? 'active' : 'draining';
    const to = draining ? 'draining' : 'active';
    return changeProgram([
      countEpoch('state = ?2', shard, from),
      statement('update _shard_catalog_shards set state = ?3 where name = ?1 and state = ?2', shard, from, to),
    ]);
  },
  retire: (shard, digest, job) =>
    changeProgram([
      statement(
        `update _shard_catalog_cluster set epoch = epoch + 1,
            base = (base | cast(?3 as integer)) - (base & cast(?3 as integer))
          where exists (select 1 from _shard_catalog_shards where name = ?1 and ${LEAVES})`,
        shard,
        String(job),
        String(digest),
      ),
      statement(`update _shard_catalog_shards set state = 'retired' where name = ?1 and ${LEAVES}`, shard, String(job)),
    ]),
};
