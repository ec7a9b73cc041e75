import type { ShardedDrizzleError } from '../errors';
import type { PlacedKey } from './guard';

/** Why a shard refused a batch. Nothing of it was run. */
export type Signal =
  /** It is another database than the one it was taken for; nulls: it has never been told who it is. */
  | { readonly kind: 'identity'; readonly name: string | null; readonly cluster: string | null }
  | { readonly kind: 'moved'; readonly keys: readonly MovedKey[] }
  | { readonly kind: 'not-owner'; readonly version: number }
  /** A write to a key that is being moved. */
  | { readonly kind: 'busy' }
  /** The keys are being listed for a move, and the batch does not note its own. */
  | { readonly kind: 'noting' }
  /** A key without a record may be in a database that came with rows and was not scanned yet. */
  | { readonly kind: 'adopting'; readonly sources: readonly AdoptionSource[] }
  /** A new key was meant for a shard that takes none any more. */
  | { readonly kind: 'draining' }
  /** Another shard was asked for a key that this one owns. */
  | { readonly kind: 'unsettled' }
  /** Ownership changed between the answers of several shards. */
  | { readonly kind: 'unbalanced' }
  /** The pin that should hold moves off has expired. */
  | { readonly kind: 'unpinned' };

/** A database that came with rows of a keyspace, and was not scanned yet. */
export interface AdoptionSource {
  readonly id: number;
  readonly keyspace: string;
  readonly shard: string;
}

/** A key that lives elsewhere. */
export interface MovedKey {
  /** Its place in the guard's list. */
  readonly at: number;
  readonly to: string;
  /** See {@link MOVED_BY}. */
  readonly by: number;
  /** The version of the shard that says so. */
  readonly version?: number;
}

/** Thrown when shards refused, before anything was written: the statement can be routed anew. Never leaves the package. */
export class Refusal extends Error {
  constructor(
    readonly shard: string,
    readonly signal: Signal,
    /** The keys that the shard was asked for. */
    readonly keys: readonly PlacedKey[],
    cause?: unknown,
  ) {
    super(`${shard} refused: ${signal.kind}`, { cause });
  }
}

/**
 * An error that only holds if the keys are where they are believed to be: it is thrown after the catalog and the shards have
 * said so. Never leaves the package.
 */
export class Doubt extends Error {
  constructor(
    readonly error: ShardedDrizzleError,
    readonly keys: readonly PlacedKey[],
  ) {
    super(error.message, { cause: error });
  }
}

/** What several shards refused, as one: all keys that have moved are told of together. */
export function joinRefusals(refusals: readonly Refusal[]): Refusal {
  const moved = refusals.filter(({ signal }) => signal.kind === 'moved');
  const adopting = moved.length > 0 ? [] : refusals.filter(({ signal }) => signal.kind === 'adopting');
  if (adopting.length > 1) {
    const [{ shard, signal, cause }] = adopting as [Refusal];
    return new Refusal(
      shard,
      signal,
      adopting.flatMap((one) => one.keys),
      cause,
    );
  }
  const [first] = moved.length > 0 ? moved : refusals;
  if (!first || moved.length < 2) return first as Refusal;
  const keys = moved.flatMap((one) => one.keys);
  const list: MovedKey[] = [];
  let offset = 0;
  for (const one of moved) {
    if (one.signal.kind === 'moved') list.push(...one.signal.keys.map((key) => ({ ...key, at: key.at + offset })));
    offset += one.keys.length;
  }
  return new Refusal(first.shard, { kind: 'moved', keys: list }, keys, first.cause);
}

const RAISED =
  /SHARD_(IDENTITY|MOVED|NOT_OWNER|BUSY|NOTING|ADOPTING|DRAINING|UNSETTLED|UNBALANCED|UNPINNED)(?: ([0-9A-F]*))?/;
const NO_TABLES = /no such table: _shard_(identity|slots|keys|moves)/;

/** Reads what a guard raised from an error of D1; undefined for every other error. */
export function signalOf(error: unknown): Signal | undefined {
  const message = error instanceof Error ? error.message : String(error);
  if (!message.includes('_shard_') && !message.includes('SHARD_')) return undefined;
  if (NO_TABLES.test(message)) return { kind: 'identity', name: null, cluster: null };
  const found = RAISED.exec(message);
  if (!found) return undefined;
  try {
    return readSignal(found[1] as string, unhex(found[2] ?? ''));
  } catch {
    // Not a text of ours.
    return undefined;
  }
}

function readSignal(kind: string, said: string): Signal {
  switch (kind) {
    case 'IDENTITY': {
      const [name, cluster] = JSON.parse(said) as [string | null, string | null];
      return { kind: 'identity', name, cluster };
    }
    case 'MOVED': {
      const list = JSON.parse(said) as [number, string, number, number?][];
      return {
        kind: 'moved',
        keys: list.map(([at, to, by, version]) => ({ at, to, by, ...(version === undefined ? {} : { version }) })),
      };
    }
    case 'ADOPTING': {
      const list = JSON.parse(said) as [number, string, string][];
      return { kind: 'adopting', sources: list.map(([id, keyspace, shard]) => ({ id, keyspace, shard })) };
    }
    case 'NOT_OWNER':
      return { kind: 'not-owner', version: Number(said) };
    case 'BUSY':
      return { kind: 'busy' };
    case 'NOTING':
      return { kind: 'noting' };
    case 'DRAINING':
      return { kind: 'draining' };
    case 'UNSETTLED':
      return { kind: 'unsettled' };
    case 'UNPINNED':
      return { kind: 'unpinned' };
    default:
      return { kind: 'unbalanced' };
  }
}

/** Hexadecimal, because SQLite and D1 put the text between quotes of their own. */
export function unhex(digits: string): string {
  const bytes = digits.match(/../g) ?? [];
  return new TextDecoder().decode(Uint8Array.from(bytes, (pair) => Number.parseInt(pair, 16)));
}
