import { createLRU } from 'lru.min';
import type { Block } from '../catalog/catalog';
import { Telemetry } from '../telemetry/counters';
import type { Demand, GuardRow } from './guard';
import { HintCache } from './hint-cache';
import type { RoutingMap } from './routing-map';

/**
 * What an isolate remembers of one cluster. All of it is a hint: shards decide. Data only, no promises: an isolate serves
 * many requests, and one must not wait for another's I/O (https://developers.cloudflare.com/workers/runtime-apis/bindings/).
 */
export class IsolateState {
  map: { readonly routing: RoutingMap; readonly at: number } | undefined;
  /** The lowest version that each shard can have; replaced, never changed, so that a reference is a snapshot. */
  versions: ReadonlyMap<string, number> = new Map();
  readonly hints = new HintCache();
  /** Numbers of counters and sequences that were fetched and not given yet. */
  readonly blocks = new Map<string, Block>();
  /** How many turns of a round the next block shall have, by keyspace. */
  readonly turnSizes = new Map<string, number>();
  /** The first number that each sequence has not given yet, by table; undefined where it has not begun. */
  readonly sequences = new Map<string, { readonly next: number | undefined; readonly at: number }>();
  /** The catalog has been told this configuration's strategies, regions and weights. */
  announced = false;
  /** The scan of databases that came with rows was begun. */
  adopting = false;
  /** The tables of each shard, as claims found them. */
  readonly tables = new Map<string, string | null>();

  /** Shards on which keys are being listed for a move. */
  readonly noting = new NotingShards();

  readonly telemetry = new Telemetry();
  /** Whatever else is remembered of the cluster's databases; see {@link IsolateState.remembered}. */
  readonly #remembered: { readonly key: readonly unknown[]; readonly value: { forget(): void } }[] = [];

  /** What was made before for the same key, compared item by item; or made now. The oldest of a few gives way. */
  remembered<T extends { forget(): void }>(key: readonly unknown[], make: () => T): T {
    const list = this.#remembered;
    const known = list.find((one) => one.key.every((part, i) => part === key[i]));
    if (known) return known.value as T;
    const value = make();
    if (list.push({ key, value }) > MAX_STATES) list.shift();
    return value;
  }

  /** The databases are of another cluster now. */
  forget(): void {
    this.hints.clear();
    this.blocks.clear();
    this.sequences.clear();
    this.tables.clear();
    this.versions = new Map();
    this.announced = false;
    this.adopting = false;
    for (const { value } of this.#remembered) value.forget();
  }

  /** What a guard that let a batch pass has said of its shard, and of the keys that have a record there. */
  learn({ shard, own }: Demand, { version, here }: GuardRow): void {
    this.learnVersion(shard, version);
    if (here === null) return;
    const places: readonly number[] = own.length === 1 ? [0] : JSON.parse(here);
    for (const at of places) {
      const key = own[at];
      if (key) this.hints.set(key.keyspace, key.key, shard);
    }
  }

  learnVersion(shard: string, version: number): void {
    if ((this.versions.get(shard) ?? 0) < version) this.versions = new Map(this.versions).set(shard, version);
  }
}

/** For how long a shard is taken to be listing keys after it has said so. Noting in vain costs a write little. */
const NOTING_MS = 60_000;

class NotingShards {
  readonly #until = new Map<string, number>();

  has(shard: string): boolean {
    return this.#until.size > 0 && (this.#until.get(shard) ?? 0) > Date.now();
  }

  add(shard: string): void {
    this.#until.set(shard, Date.now() + NOTING_MS);
  }
}

/** Configurations of one catalog that an isolate uses side by side. */
const MAX_STATES = 16;

const states = new WeakMap<object, ReturnType<typeof createLRU<string, IsolateState>>>();

/**
 * The state of a cluster in this isolate, also when the database object is made anew for each request.
 *
 * @param anchor The binding of the catalog: it lives as long as the isolate.
 */
export function isolateState(anchor: object, key: string): IsolateState {
  let known = states.get(anchor);
  if (!known) {
    known = createLRU({ max: MAX_STATES });
    states.set(anchor, known);
  }
  const found = known.get(key) ?? new IsolateState();
  known.set(key, found);
  return found;
}
