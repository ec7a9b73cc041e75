import type { AdoptionJournal } from './adoptions';
import type { MoveJournal } from './journal';
import type { ReferenceJournal } from './reference-writes';

/** A database of the cluster, as the catalog knows it. */
export interface ShardInfo {
  name: string;
  /** Where the database is: a region code such as `weur`. */
  region?: string;
  /** Its share of the slots and of new keys, relative to the other shards' weights. */
  weight: number;
  /** `adding`: scatters include it, nothing is put there yet. `draining`: nothing new goes there. `retired`: empty. */
  state: 'adding' | 'active' | 'draining' | 'retired';
  /** What it brought into the digests when it joined an existing cluster; left out for the shards of first contact. */
  joinWeight?: number;
}

/** Consecutive slots of one shard, both ends included. */
export interface SlotRange {
  lo: number;
  hi: number;
  shard: string;
}

export interface KeyspaceMap {
  /** How a new key finds its shard: what was registered last. */
  strategy: string;
  /** True once the strategy was ever another one than `hash`: a key may live elsewhere than its slot says. */
  directory: boolean;
  /** Every slot exactly once, in order. */
  ranges: SlotRange[];
  /** Databases that came with rows, and whose keys were not all found yet. */
  adopting?: Adoption[];
}

/** A database that came with rows of a keyspace. */
export interface Adoption {
  /** Later ones have higher ids. */
  id: number;
  shard: string;
}

/** A snapshot of the catalog: plain JSON, fit for one KV value. */
export interface ShardMap {
  /** Random, given at first contact. Two clusters never share one. */
  cluster: string;
  /** Grows by one with every change of the map: of two snapshots the higher one is the newer. */
  epoch: number;
  /** XOR of the digests of retired shards; what the digests of all shards of a scatter must add up to. */
  base: number;
  /** In the order in which they were registered. */
  shards: ShardInfo[];
  keyspaces: Record<string, KeyspaceMap>;
}

/** What a database has to be told before it may answer: see {@link Catalog.confirm}. */
export interface Enrolment {
  shard: string;
  /**
   * 0 for the shards of first contact; else a random 52-bit number that enters the digest of this shard and of `anchor`.
   * It never changes, and comes with each later keyspace again.
   */
  weight: number;
  /** The shard every map has: the first one that was registered and is in use. */
  anchor: string;
  /** Shards that take no new keys any more: they are being emptied, or have left. */
  closed: string[];
  /** The keyspaces that it has not been told of, each with its slot ranges (both ends included; may be empty). */
  keyspaces: { name: string; ranges: [lo: number, hi: number][]; adopting?: Adoption[] }[];
}

/** What one look at the catalog shows. */
export interface CatalogView {
  map: ShardMap;
  /** In the order in which the shards were registered; empty when every database knows its part. */
  pending: Enrolment[];
}

/** What a configuration says about the cluster. */
export interface OpenRequest {
  /**
   * `weight` lies between 0.001 and 100,000; a new shard's is 1 unless given. `lacksReference`: at first contact others have
   * rows of the reference tables, and this one has not.
   */
  shards: { name: string; region?: string; weight?: number; lacksReference?: boolean }[];
  /**
   * Of a new keyspace, `owner` gets all slots. `adopts`: the shards that have rows of it already; what is known of a shard and
   * a keyspace both stays.
   */
  keyspaces: { name: string; strategy: string; owner?: string; adopts?: string[] }[];
  /**
   * There are tables that are whole on every shard, so a new shard must get their rows before it may own anything.
   *
   * @default false
   */
  referenceTables?: boolean;
}

/** The keyspaces that a shard has been told of. */
export interface Enrolled {
  shard: string;
  keyspaces: string[];
  /** The last of their adoptions that it was told of. */
  adoption?: number;
}

/** Consecutive numbers, both ends included. */
export interface Block {
  from: number;
  to: number;
}

/**
 * The authority on what shards there are, which slots they own, and on every number that must not be given twice.
 *
 * All operations may be repeated after a lost answer: `open` and `confirm` change nothing the second time, `block` and
 * `sequence` at worst leave a gap.
 */
export interface Catalog extends MoveJournal, ReferenceJournal, AdoptionJournal {
  /**
   * Creates the cluster on first contact, registers shards and keyspaces that are new, takes over what is given otherwise
   * than before, and gives the view.
   *
   * The shards of first contact are active at once. A later one is `adding` and owns no slots: {@link Catalog.confirm}
   * makes it active, or, with `referenceTables`, whoever has copied those. A new keyspace is spread over all shards that
   * are active by then.
   *
   * A region or weight that is given, and the strategy of a keyspace, replace what was known; slots that are spread
   * already stay where they are. What the request leaves out, a shard or its weight, stays as it is, and so does every
   * shard's state. All changes of one request together are one epoch.
   *
   * @example
   * const { map, pending } = await catalog.open({
   *   shards: [{ name: 'db-east' }, { name: 'db-west', region: 'wnam', weight: 2 }],
   *   keyspaces: [{ name: 'default', strategy: 'hash' }],
   * });
   * @throws ConfigError for a request without shards, with a name twice, or with a weight out of range.
   */
  open(request: OpenRequest): Promise<CatalogView>;

  /** The view as it is now; undefined before first contact. */
  map(): Promise<CatalogView | undefined>;

  /**
   * Says that databases have been told what {@link CatalogView.pending} asked for; a part of it is fine. A shard that was
   * `adding` becomes active, one epoch later, once it knows every keyspace and does not wait for reference tables.
   * Shards and keyspaces that the catalog does not know are ignored.
   *
   * @example
   * await catalog.confirm([{ shard: 'db-east', keyspaces: ['default'] }]);
   */
  confirm(done: Enrolled[]): Promise<CatalogView>;

  /**
   * The next `size` numbers of a counter (round-robin, say), all above `atLeast`. Counters begin at 1 and are
   * made when first asked for. Never gives a number twice; may leave gaps.
   *
   * @throws RangeError for a size that is not a whole number from 1, or an `atLeast` that is not a whole number.
   */
  block(counter: string, size: number, atLeast?: number): Promise<Block>;

  /**
   * The next `size` ids of a sequence. Where sequences begin is for the rows to say that are there already: without
   * `atLeast`, a sequence that nobody has begun is undefined, and stays so; with it, the sequence is made or raised, so
   * that all numbers given are above it. Sequences are no counters of {@link Catalog.block}, whatever their names.
   *
   * @example
   * const ids = (await catalog.sequence('users', 100)) ?? (await catalog.sequence('users', 100, await highestId()));
   * @throws RangeError as `block` does.
   */
  sequence(name: string, size: number, atLeast?: number): Promise<Block | undefined>;
}
