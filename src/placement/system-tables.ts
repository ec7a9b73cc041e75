import type { Enrolment } from '../catalog/catalog';
import type { BoundStatement } from '../sql/bound';
import { raise } from './guard';

/** What every shard keeps about itself: the tables of the protocol. Every statement can be repeated. */
const SYSTEM_TABLES: readonly string[] = [
  `create table if not exists _shard_identity (one integer primary key check (one = 1), cluster text not null,
    name text not null, version integer not null default 0, digest integer not null default 0,
    floor integer not null default 0)`,
  // A keyspace is told of once. Its ranges then change by moves alone, also when it has none left.
  'create table if not exists _shard_keyspaces (keyspace text primary key) without rowid',
  `create table if not exists _shard_slots (keyspace text, lo integer, hi integer not null,
    primary key (keyspace, lo)) without rowid`,
  `create table if not exists _shard_keys (keyspace text, key text, slot integer not null, at text not null,
    move integer not null default 0, primary key (keyspace, key)) without rowid`,
  'create index if not exists _shard_keys_slot on _shard_keys (keyspace, slot)',
  // `side`: in, out, or pin (a write to many shards that holds moves off), note (see _shard_scope), turn (see pins.ts).
  `create table if not exists _shard_moves (id integer, side text, kind text, keyspace text, lo integer, hi integer,
    key text, peer text, weight integer, phase text not null, expires integer, counts text,
    primary key (id, side)) without rowid`,
  // The keys of a move of keys, on both its sides.
  'create table if not exists _shard_move_keys (move integer, key text, slot integer, primary key (move, key)) without rowid',
  // The keys that are in slots about to be moved: found by a scan, and noted by every write meanwhile.
  `create table if not exists _shard_scope (keyspace text, key text, slot integer not null,
    primary key (keyspace, key)) without rowid`,
  'create index if not exists _shard_scope_slot on _shard_scope (keyspace, slot)',
  // What is being landed: rows of one table as a JSON array of arrays.
  `create table if not exists _shard_stage (move integer, run text, tbl text, part integer, rows text not null,
    primary key (move, run, tbl, part)) without rowid`,
  // Databases that came with rows of a keyspace, until all keys of theirs are found. `done` stays, so that a late enrolment
  // does not begin it again.
  `create table if not exists _shard_adopting (keyspace text, source text, id integer not null, done integer not null default 0,
    primary key (keyspace, source)) without rowid`,
  // Guards look into it at each keyed statement: it is empty, however many databases were adopted.
  'create index if not exists _shard_adopting_open on _shard_adopting (keyspace, id) where done = 0',
  // Shards that take no new keys: they are being emptied.
  'create table if not exists _shard_closed (shard text primary key) without rowid',
  // On the anchor: shards whose weight has entered its digest.
  'create table if not exists _shard_joined (shard text primary key) without rowid',
  // Writes that must not be applied twice, and what they changed.
  'create table if not exists _shard_writes (id text primary key, answers text not null) without rowid',
];

const CHECK_IDENTITY = `select case when i.name is not ?1 or i.cluster is not ?2
  then ${raise("'SHARD_IDENTITY ' || hex(json_array(i.name, i.cluster))")} end
  from (select 1) left join _shard_identity i on i.one = 1`;

const statement = (sql: string, ...params: string[]): BoundStatement => ({ sql, params });

/**
 * Tells a database who it is and which slots it owns: one batch, which changes nothing where it was told before. Fails with
 * SHARD_IDENTITY, and so as a whole, on a database of another name or cluster.
 */
export function enrolStatements(cluster: string, { shard, weight, closed, keyspaces }: Enrolment): BoundStatement[] {
  const ranges = keyspaces.flatMap(({ name, ranges: list }) => list.map(([lo, hi]) => [name, lo, hi]));
  return [
    ...SYSTEM_TABLES.map((sql) => statement(sql)),
    statement(
      `insert into _shard_identity (one, cluster, name, digest) values (1, ?1, ?2, cast(?3 as integer)) on conflict do nothing`,
      cluster,
      shard,
      String(weight),
    ),
    statement(CHECK_IDENTITY, shard, cluster),
    statement(
      `insert into _shard_slots (keyspace, lo, hi) select value->>0, value->>1, value->>2 from json_each(?1)
        where value->>0 not in (select keyspace from _shard_keyspaces)`,
      JSON.stringify(ranges),
    ),
    statement(
      'insert into _shard_keyspaces (keyspace) select value from json_each(?1) where true on conflict do nothing',
      JSON.stringify(keyspaces.map(({ name }) => name)),
    ),
    statement(
      `insert into _shard_adopting (keyspace, source, id) select value->>0, value->>1, value->>2 from json_each(?1)
        where true on conflict do nothing`,
      JSON.stringify(
        keyspaces.flatMap(({ name, adopting = [] }) => adopting.map(({ shard: source, id }) => [name, source, id])),
      ),
    ),
    statement(
      'insert into _shard_closed (shard) select value from json_each(?1) where true on conflict do nothing',
      JSON.stringify(closed),
    ),
  ];
}

/** Fails with SHARD_IDENTITY on a database of another name or cluster, and for lack of a table on one that was never told. */
export const identityCheck = (cluster: string, shard: string): BoundStatement[] => [
  statement(
    `select case when name <> ?1 or cluster <> ?2 then ${raise("'SHARD_IDENTITY ' || hex(json_array(name, cluster))")} end
      from _shard_identity`,
    shard,
    cluster,
  ),
];

/**
 * A shard that joins later enters the digests of two shards, itself and the anchor that every map has. A scatter by a map
 * that does not know it then does not balance, instead of missing its rows.
 */
export function joinStatements(cluster: string, { shard, weight, anchor }: Enrolment): BoundStatement[] {
  const xor = 'digest = (digest | cast(?2 as integer)) - (digest & cast(?2 as integer))';
  return [
    statement(CHECK_IDENTITY, anchor, cluster),
    statement(
      `update _shard_identity set ${xor} where not exists (select 1 from _shard_joined where shard = ?1)`,
      shard,
      String(weight),
    ),
    statement('insert into _shard_joined (shard) values (?1) on conflict do nothing', shard),
  ];
}
