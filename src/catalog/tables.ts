/**
 * The catalog's tables. A D1 that holds the catalog is usually a shard too, so they have a prefix of their own beside
 * the `_shard_*` tables of a shard. Every statement can be repeated.
 */
export const CATALOG_TABLES: readonly string[] = [
  // One row at most: first contact is an insert that only one caller wins.
  `create table if not exists _shard_catalog_cluster (
    one integer primary key check (one = 1), id text not null, epoch integer not null, base integer not null)`,
  // `weight` is its share; `join_weight` is what its joining adds to digests. `awaits_reference`: it does not become
  // active before the rows of the reference tables are on it.
  `create table if not exists _shard_catalog_shards (
    position integer primary key, name text not null unique, region text, weight real not null,
    state text not null check (state in ('adding', 'active', 'draining', 'retired')),
    join_weight integer not null default 0, awaits_reference integer not null default 0)`,
  // `directory` is sticky: keys that a strategy has put elsewhere stay there when the strategy changes.
  `create table if not exists _shard_catalog_keyspaces (
    name text primary key, strategy text not null, directory integer not null default 0) without rowid`,
  // Databases that came with rows of a keyspace, until each key of theirs was found: see `adoption/`. What is pending of it has
  // `done` 0; an id never comes back.
  `create table if not exists _shard_catalog_adoptions (
    id integer primary key autoincrement, keyspace text not null, shard text not null, done integer not null default 0,
    unique (keyspace, shard))`,
  // Keys that two databases came with. Nobody can tell which rows are the right ones.
  `create table if not exists _shard_catalog_conflicts (
    keyspace text, key text, shards text not null, primary key (keyspace, key)) without rowid`,
  // The shards that were told of a keyspace, and of its adoptions up to this one. What is missing here is pending, so that
  // neither a new shard nor a new keyspace has to add rows for the other.
  `create table if not exists _shard_catalog_enrolled (
    shard text, keyspace text, adoption integer not null default 0, primary key (shard, keyspace)) without rowid`,
  `create table if not exists _shard_catalog_slots (
    keyspace text, lo integer, hi integer not null, shard text not null,
    primary key (keyspace, lo), check (lo between 0 and hi and hi < 16384)) without rowid`,
  // Counters and sequences, told apart by a prefix. `next` has not been given yet. Beyond 2^53 numbers are no longer exact in JavaScript.
  `create table if not exists _shard_catalog_counters (
    name text primary key, next integer not null,
    constraint counter_exhausted check (next between 1 and 9007199254740992)) without rowid`,
  // The journal of moves. `request` makes a repeated journal entry the same row; autoincrement, because shards refuse
  // an id below their floor, so that an id must never come back after its row was collected. A move of keys locks the
  // slots that they lie in. Its `from` is unset until its home shard was asked.
  `create table if not exists _shard_catalog_moves (
    id integer primary key autoincrement, request text not null unique, job integer not null, kind text not null,
    keyspace text not null, lo integer not null, hi integer not null, key text, "from" text, "to" text not null,
    weight integer not null, state text not null default 'open' check (state in ('open', 'done', 'aborted')),
    phase text not null default 'journal', rows integer not null default 0, bytes integer not null default 0,
    started integer not null, finished integer, error text)`,
  `create index if not exists _shard_catalog_moves_open on _shard_catalog_moves (keyspace, lo, hi) where state = 'open'`,
  // What holds moves off: a migration, or a schema change through a router.
  `create table if not exists _shard_catalog_holds (by text primary key, until integer not null) without rowid`,
  // A write to the reference tables, until every shard has applied it. Its text may be longer than one value can be.
  `create table if not exists _shard_catalog_writes (
    id integer primary key autoincrement, request text not null unique, touched integer not null,
    state text not null check (state in ('prepared', 'committed', 'aborted')))`,
  `create table if not exists _shard_catalog_write_parts (
    write integer, part integer, text text not null, primary key (write, part)) without rowid`,
  // `spec`, `steps` and `options` are JSON; `at` is the first step that is not done, `cursor` the first slot within it.
  `create table if not exists _shard_catalog_jobs (
    id integer primary key autoincrement, request text not null unique, kind text not null, spec text not null,
    steps text not null, options text not null, at integer not null default 0, cursor integer not null default 0, place text,
    state text not null default 'running' check (state in ('running', 'paused', 'done', 'cancelled', 'failed')),
    rows integer not null default 0, bytes integer not null default 0, moves integer not null default 0,
    total_rows integer not null default 0, started integer not null, finished integer, error text,
    driver text, leased_until integer not null default 0)`,
];

/** Unix time in milliseconds, in SQL. */
export const NOW_MS = "cast(unixepoch('subsec') * 1000 as integer)";

/** Says that {@link CATALOG_TABLES} are not there yet, in the words of SQLite within those of D1. */
export const isMissingTable = (error: unknown): boolean =>
  error instanceof Error && error.message.includes('no such table: _shard_catalog_');
