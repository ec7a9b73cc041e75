import { createLRU } from 'lru.min';
import type { Block } from '../catalog/catalog';
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
  /** The catalog has been told this configuration's strategies, regions and weights. */
  announced = false;
  /** The tables of each shard, as claims found them. */
  readonly tables = new Map<string, string | null>();

  learnVersion(shard: string, version: number): void {
    if ((this.versions.get(shard) ?? 0) < version) this.versions = new Map(this.versions).set(shard, version);
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
