import type { CatalogView, ShardInfo } from './catalog';

/**
 * A move of rows between two shards, as the catalog has journaled it. `slots`: all keys of a range of slots that have no
 * placement record; `keys`: keys of one home, listed on the source when it is frozen.
 */
export interface Move {
  /** Grows with each move; shards refuse ids below their floor. */
  readonly id: number;
  readonly job: number;
  readonly kind: 'slots' | 'keys';
  readonly keyspace: string;
  /** The slots that it locks, both ends included: no other move of this keyspace may touch them while it is open. */
  readonly lo: number;
  readonly hi: number;
  /** The key, where it is one. */
  readonly key: string | null;
  /** The shard that owns the slots, which cannot change while they are locked. */
  readonly home: string;
  /** Null until the home shard of a `keys` move was asked where they are. */
  readonly from: string | null;
  readonly to: string;
  /** 52 random bits that enter the digests of source and target. */
  readonly weight: number;
  readonly state: 'open' | 'done' | 'aborted';
  /** The step that was begun last. */
  readonly phase: string;
  readonly rows: number;
  readonly bytes: number;
  /** Unix time in milliseconds. */
  readonly started: number;
  readonly finished: number | null;
  /** Why it was aborted, or what the last try to go on has met. */
  readonly error: string | null;
}

export interface MoveRequest {
  /** Repeating a request gives the same move. */
  readonly request: string;
  readonly job: number;
  readonly kind: Move['kind'];
  readonly keyspace: string;
  readonly lo: number;
  readonly hi: number;
  readonly key?: string;
  /** Of a `keys` move: where they are. Of a `slots` move: the shard that has to own them. */
  readonly from?: string;
  readonly to: string;
}

/** What is in the way of holding moves off: nothing, when both are empty. */
export interface HoldAnswer {
  readonly moves: readonly Move[];
  readonly heldBy: string | null;
}

/** What changes in an open move. What is left out stays. */
export interface MoveProgress {
  readonly phase?: string;
  readonly rows?: number;
  readonly bytes?: number;
  readonly error?: string;
}

export interface MoveSize {
  readonly rows: number;
  readonly bytes: number;
}

/** What became of a request to journal a move. */
export type Journaled =
  | { readonly move: Move }
  /** Another move has locked one of the slots. */
  | { readonly refused: 'locked'; readonly by: Move }
  /** Rows of the keyspace that databases came with were not all found yet. */
  | { readonly refused: 'adopting' }
  /** Moves are held off, by a migration for instance. */
  | { readonly refused: 'held'; readonly by: string }
  /** The target is not `active`; undefined: the catalog does not know it. */
  | { readonly refused: 'target'; readonly state: ShardInfo['state'] | undefined }
  /** Several shards own the slots. */
  | { readonly refused: 'split' }
  /** Another shard than the one that was named owns the slots. */
  | { readonly refused: 'owner' }
  /** The target owns the slots. */
  | { readonly refused: 'same' };

/** What a job does, one step after the other. All of it is JSON. */
export type JobStep =
  | { readonly do: 'keys'; readonly keyspace: string; readonly keys: readonly string[]; readonly to: string }
  | {
      readonly do: 'slots';
      readonly keyspace: string;
      readonly lo: number;
      readonly hi: number;
      readonly from: string;
      readonly to: string;
    }
  /** Keys that live on `from` by a placement record, to the shards that `to` names in turn; at most so many. */
  | {
      readonly do: 'records';
      readonly keyspace: string;
      readonly from: string;
      readonly to: readonly string[];
      readonly count?: number;
    }
  /** No new keys for a shard: every other one is told. */
  | { readonly do: 'close'; readonly shard: string }
  /** The reference tables' rows, to a shard that is `adding`, which then becomes active. */
  | { readonly do: 'reference'; readonly to: string }
  | { readonly do: 'retire'; readonly shard: string }
  /** The keys that a database came with. */
  | { readonly do: 'adopt'; readonly keyspace: string; readonly shard: string };

export type JobKind = 'reassign' | 'slots' | 'rebalance' | 'drain' | 'add' | 'adopt';
export type JobState = 'running' | 'paused' | 'done' | 'cancelled' | 'failed';

/** Work on the cluster that may take hours, and outlives whoever began it. */
export interface Job {
  readonly id: number;
  readonly kind: JobKind;
  readonly state: JobState;
  /** What the configuration says of the tables: JSON, for a driver that has no configuration. */
  readonly spec: string;
  readonly steps: readonly JobStep[];
  /** The first step that is not done. */
  readonly at: number;
  /** Within that step: the first slot that is not done. */
  readonly cursor: number;
  /** Within that step, where a number does not do; null at its beginning. */
  readonly place: string | null;
  readonly options: JobOptions;
  /** What has been moved so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly moves: number;
  /** What its plan has counted. */
  readonly totalRows: number;
  /** Unix time in milliseconds. */
  readonly started: number;
  readonly finished: number | null;
  readonly error: string | null;
  /** Someone is at work on it until then, Unix time in milliseconds. */
  readonly leasedUntil: number;
}

export interface JobOptions {
  /** Rows in one move, so that they are frozen for a short time. */
  readonly rowsPerMove: number;
  readonly rowsPerSecond: number;
  /** For how long writers may have to wait for one move, in milliseconds. */
  readonly frozenMs: number;
}

export interface JobRequest {
  readonly request: string;
  readonly kind: JobKind;
  readonly spec: string;
  readonly steps: readonly JobStep[];
  readonly options: JobOptions;
  readonly totalRows: number;
}

/** What changes in a job. What is left out stays. */
export interface JobProgress {
  /** The place begins anew with it. */
  readonly at?: number;
  readonly cursor?: number;
  readonly place?: string;
  readonly state?: JobState;
  readonly error?: string | null;
  /** Added to what it has. */
  readonly rows?: number;
  readonly bytes?: number;
  readonly moves?: number;
}

/** The part of the catalog that journals what changes the ownership of rows. Every operation may be repeated. */
export interface MoveJournal {
  /** JOURNAL: locks the slots. Without an answer, repeat it with the same `request`. */
  journal(request: MoveRequest): Promise<Journaled>;
  /** SOURCE: where the keys of a `keys` move are, read under the lock. Changes nothing that was said before. */
  source(move: number, from: string): Promise<Move | undefined>;
  /** How far an open move has come. */
  progress(move: number, progress: MoveProgress): Promise<void>;
  /**
   * CLOSE: the new owner is in the map, one epoch later, and the slots are unlocked. Nothing unless the move is open.
   *
   * @param size What was moved.
   */
  close(move: number, size?: MoveSize): Promise<CatalogView>;
  /** Unlocks the slots of an open move that has changed nothing. */
  abort(move: number, error: string): Promise<Move | undefined>;
  move(id: number): Promise<Move | undefined>;
  /** Open moves, and the last `finished` others; the newest first. */
  moves(finished: number): Promise<readonly Move[]>;
  /** The lowest id of an open move; without one, the lowest that has not been given. All moves below it are closed. */
  floor(): Promise<number>;

  /**
   * Holds moves off, and others that would, until `releaseMoves`, or for so many seconds. While a move is open or somebody else
   * holds them off, it says so and holds nothing. Repeat it to go on.
   */
  holdAlone(by: string, seconds: number): Promise<HoldAnswer>;
  releaseMoves(by: string): Promise<void>;

  startJob(request: JobRequest): Promise<Job>;
  job(id: number): Promise<Job | undefined>;
  /** Running and paused jobs, and the last `finished` others; the newest first. */
  jobs(finished: number): Promise<readonly Job[]>;
  /** Only a job that is running or paused changes. */
  advanceJob(id: number, progress: JobProgress): Promise<Job | undefined>;
  /** True when nobody else is at work on it; then nobody else may be for so many seconds. */
  leaseJob(id: number, driver: string, seconds: number): Promise<boolean>;

  /** The rows of the reference tables are there: an `adding` shard becomes active. */
  activate(shard: string): Promise<CatalogView>;
  /** No new keys or slots for a shard, or again. */
  setDraining(shard: string, draining: boolean): Promise<CatalogView>;
  /**
   * An empty shard leaves the cluster; `digest` is what it brought to the sum. Nothing changes while it owns slots, moves are
   * open there, another shard joins, or unless the job that empties it is running: look at its state afterwards.
   */
  retire(shard: string, digest: number, job: number): Promise<CatalogView>;
}
