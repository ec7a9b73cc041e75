/** The rules of the protocol that can be switched off, each to show what it is for. */
export interface Rules {
  /** Catalog: at most one open move per slot; a key locks its slot. */
  readonly slotLock: boolean;
  /** Rows of closed and aborted moves stay on the shards until the floor passes them, and refuse late OPENs and FREEZEs. */
  readonly tombstones: boolean;
  /** The target takes no writes and no claims from LAND until THAW. */
  readonly targetBusy: boolean;
  /** HOME only moves records forward: record.move < id. */
  readonly homeFence: boolean;
  /** A claim is a write: refused while the key's slot, or the key, is frozen on its home. */
  readonly claimFreeze: boolean;
  /** ARRIVE writes "lives here" only at the version that the router knew before it asked the home. */
  readonly claimFence: boolean;
  /** LAND of slots replaces all records of these slots that the target has. */
  readonly landReplaces: boolean;
  /** "Lives here" on the home keeps the key, and its rows, where they are when the slot moves. */
  readonly explicitStays: boolean;
  /** FREEZE checks that the source owns all of it now. */
  readonly freezeChecks: boolean;
  /** A scatter accepts its answers only if the digests of all shards balance. */
  readonly digests: boolean;
  /** A scatter write puts a pin on every shard first. */
  readonly pins: boolean;
  /** The digests that come back with the pins must balance too. */
  readonly pinDigests: boolean;
  /** A move of a key to where it is already is closed in the catalog and never reaches the shards. */
  readonly noSelfMove: boolean;
  /** A shard that joins is seen in the digests. */
  readonly joinDigest: boolean;
  /** A key that comes home keeps its record. */
  readonly homecomerKeepsRecord: boolean;

  /** A keyed write to a slot under a live note row also writes the key into the scope. */
  readonly writersNote: boolean;
  /** LAND of slots deletes the note rows that overlap them: its rows came without being noted. */
  readonly landDropsNotes: boolean;
  /** FREEZE of slots needs a note row in phase `noted` that covers them. */
  readonly freezeNeedsNoted: boolean;
  /** A note row expires for freezes before it expires for guards. */
  readonly freezeForgetsFirst: boolean;
  /** A NOTE that is sent again has a new generation. */
  readonly freshGeneration: boolean;
  /** The end of a scan concerns its own note row, and not all rows for the slots. */
  readonly notedOwnGeneration: boolean;
  /** ABORT leaves the scope alone: it may be another generation's by now. */
  readonly abortKeepsScope: boolean;

  /** HOME re-points the listed keys, and not all records that still name the source. */
  readonly homeFollowsList: boolean;

  /** "No new claims to R" is checked by claims, on the home. */
  readonly homesRefuseClaims: boolean;
  /** It is checked by arrivals, on R. The model finds nothing that needs this: a move of the keys completes their claims. */
  readonly drainedRefusesArrivals: boolean;
  /** All shards are told, not only those that are homes now. */
  readonly drainTellsAll: boolean;
  /** The last look of a drain is a scatter: its digests must balance. */
  readonly lookBalances: boolean;
  /** The catalog journals no moves to a draining shard, and the look begins only when no open move is from or to it. */
  readonly drainLocks: boolean;
}

export const ALL_RULES: Rules = {
  slotLock: true,
  tombstones: true,
  targetBusy: true,
  homeFence: true,
  claimFreeze: true,
  claimFence: true,
  landReplaces: true,
  explicitStays: true,
  freezeChecks: true,
  digests: true,
  pins: true,
  pinDigests: true,
  noSelfMove: true,
  joinDigest: true,
  homecomerKeepsRecord: true,
  writersNote: true,
  landDropsNotes: true,
  freezeNeedsNoted: true,
  freezeForgetsFirst: true,
  freshGeneration: true,
  notedOwnGeneration: true,
  abortKeepsScope: true,
  homeFollowsList: true,
  homesRefuseClaims: true,
  drainedRefusesArrivals: true,
  drainTellsAll: true,
  lookBalances: true,
  drainLocks: true,
};
