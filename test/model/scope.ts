/** What one run of the checker explores: a small cluster, and everything that may happen in it, in any order. */
export interface Scope {
  /** Shards are numbers here and letters in traces: A, B, C. */
  readonly shards: number;
  /** The shard that owns each slot at first. */
  readonly owner: readonly number[];
  /** The slot of each key. */
  readonly keySlot: readonly number[];
  /** Keys that exist at first. */
  readonly start?: readonly StartKey[];
  /** Ids follow the order of this list. */
  readonly moves: readonly Move[];
  /** How many movers run the program of each move. The second is a zombie, a late duplicate, or the alarm's new start. */
  readonly movers?: number;
  /** Inserts, updates and deletes by routers that know no more than the shards tell them. */
  readonly writes?: number;
  readonly inserts?: boolean;
  readonly deletes?: boolean;
  readonly claims?: readonly Claim[];
  readonly scatters?: readonly Scatter[];
  readonly scatterWrites?: readonly Scatter[];
  readonly pinsExpire?: boolean;
  /** Slot moves find their keys by notes and a scan. Otherwise the source just knows them. */
  readonly notes?: boolean;
  /** Notes expire at any time, once for freezes and once for guards. */
  readonly notesExpire?: boolean;
  /** Raising the floor, deleting old move rows and forwarding records. */
  readonly collect?: boolean;
  /** Whether movers may give up at any step before LAND. Default true. */
  readonly aborts?: boolean;
  /** The last shard joins while all this goes on. */
  readonly joins?: boolean;
  readonly drain?: Drain;
  /** In every state: can a fresh mover finish each open move while everything else is dead? */
  readonly recovers?: boolean;
}

export interface StartKey {
  readonly key: number;
  readonly at: number;
  /** It has a record on its home and where it lives, as claimed keys do. Otherwise it lives where its slot does. */
  readonly explicit?: boolean;
}

export interface SlotMove {
  readonly slots: readonly number[];
  readonly to: number;
  /** Journaled only after the move at this place of the list is closed. */
  readonly after?: number;
  /** No other mover than the first runs this one. */
  readonly alone?: boolean;
}

/** A list of keys of one home. */
export interface KeysMove {
  readonly keys: readonly number[];
  /** Takes those of `keys` that their home has there when asked. Without: one key, from wherever its home says. */
  readonly from?: number;
  readonly to: number;
  readonly after?: number;
  readonly alone?: boolean;
}

export type Move = SlotMove | KeysMove;

export interface Claim {
  readonly key: number;
  /** The shard that the strategy of the router wants. */
  readonly to: number;
  /** Only once the catalog calls the joining shard active. */
  readonly afterJoin?: boolean;
}

export interface Scatter {
  /** The shards of the router's map. */
  readonly shards: readonly number[];
  /** By a map that is published when the drained shard is retired. */
  readonly afterRetire?: boolean;
}

export interface Drain {
  readonly shard: number;
}

export const isKeysMove = (move: Move): move is KeysMove => 'keys' in move;
