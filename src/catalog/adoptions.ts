import type { CatalogView } from './catalog';
import type { Operations } from './operations';
import { type Statement, statement } from './program';
import { changeProgram } from './view';

/** A key with rows in two databases that were there before the cluster. */
export interface AdoptionConflict {
  readonly keyspace: string;
  readonly key: string;
  /** The shards that have rows of it. */
  readonly shards: readonly string[];
}

/** What the catalog knows of databases that came with rows. Each operation may be repeated. */
export interface AdoptionJournal {
  /** Every key that the shard came with was found: the keyspace no longer waits for it. */
  endAdoption(keyspace: string, shard: string): Promise<CatalogView>;
  /** Keeps the first {@link MAX_CONFLICTS}. */
  noteConflicts(conflicts: readonly AdoptionConflict[]): Promise<void>;
  forgetConflicts(keyspace: string, keys: readonly string[]): Promise<void>;
  conflicts(): Promise<readonly AdoptionConflict[]>;
}

/** More would be read by nobody. */
export const MAX_CONFLICTS = 10_000;

const byShard = (sql: string, keyspace: string, shard: string): Statement => statement(sql, keyspace, shard);

export const adoptionOperations: Operations<AdoptionJournal> = {
  endAdoption: (keyspace, shard) =>
    changeProgram([
      byShard(
        `update _shard_catalog_cluster set epoch = epoch + 1 where exists (
          select 1 from _shard_catalog_adoptions where keyspace = ?1 and shard = ?2 and done = 0)`,
        keyspace,
        shard,
      ),
      byShard('update _shard_catalog_adoptions set done = 1 where keyspace = ?1 and shard = ?2', keyspace, shard),
    ]),
  noteConflicts: (conflicts) => ({
    statements: [
      statement(
        `insert into _shard_catalog_conflicts (keyspace, key, shards)
          select value ->> 0, value ->> 1, json_extract(value, '$[2]') from json_each(?1)
          where (select count(*) from _shard_catalog_conflicts) < ${MAX_CONFLICTS}
          on conflict do update set shards = (select json_group_array(value) from (
            select value from json_each(_shard_catalog_conflicts.shards) union select value from json_each(excluded.shards)))`,
        JSON.stringify(conflicts.map(({ keyspace, key, shards }) => [keyspace, key, shards])),
      ),
    ],
    read: () => undefined,
  }),
  forgetConflicts: (keyspace, keys) => ({
    statements: [
      statement(
        'delete from _shard_catalog_conflicts where keyspace = ?1 and key in (select value from json_each(?2))',
        keyspace,
        JSON.stringify(keys),
      ),
    ],
    read: () => undefined,
  }),
  conflicts: () => ({
    statements: [statement('select keyspace, key, shards from _shard_catalog_conflicts order by keyspace, key')],
    read: ([rows = []]) =>
      rows.map(({ keyspace, key, shards }) => ({
        keyspace: String(keyspace),
        key: String(key),
        shards: JSON.parse(String(shards)) as string[],
      })),
    whenEmpty: { answer: [] },
  }),
};
