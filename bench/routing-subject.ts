import type { ShardMap } from '../src/catalog/catalog';
import { catalogThrough } from '../src/catalog/operations';
import { Attempt } from '../src/placement/attempt';
import { guardStatement, type PlacedKey } from '../src/placement/guard';
import { IsolateState } from '../src/placement/isolate';
import { Resolver } from '../src/placement/resolver';
import { RoutingMap } from '../src/placement/routing-map';
import { evenRanges, SLOTS } from '../src/placement/slots';

export const SHARDS = 1000;
export const HINTS = 100_000;

export const keyOf = (index: number): string => `customer-${index * 7919}`;

/** What KV gives a new isolate: text, so that parsing it is part of what it weighs. */
const published = (): string => {
  const starts = evenRanges(SHARDS);
  const names = starts.map((_, i) => `database-${i}`);
  const map: ShardMap = {
    cluster: 'bench',
    epoch: 1,
    base: 0,
    shards: names.map((name) => ({ name, weight: 1, state: 'active' })),
    keyspaces: {
      default: {
        strategy: 'hash',
        directory: false,
        ranges: starts.map((lo, i) => ({ lo, hi: (starts[i + 1] ?? SLOTS) - 1, shard: names[i] as string })),
      },
    },
  };
  return JSON.stringify(map);
};

/** An isolate that knows a map of 1,000 shards, and where 100,000 keys live. */
export function openIsolate(): { readonly state: IsolateState; readonly route: (key: string) => string } {
  const map = JSON.parse(published()) as ShardMap;
  const state = new IsolateState();
  state.map = { routing: new RoutingMap(map), at: Date.now() };
  for (let i = 0; i < HINTS; i++) state.hints.set('default', keyOf(i), map.shards[i % SHARDS]?.name as string);
  const request = { shards: [], keyspaces: [] };
  const never = () => Promise.reject(new Error('nothing is asked'));
  const catalog = catalogThrough(never);
  const resolver = new Resolver({
    state,
    catalog,
    store: undefined,
    request,
    survey: (known) => Promise.resolve(known),
    adopt: () => Promise.resolve(),
    enrol: (view) => Promise.resolve(view),
  });
  const parts = { resolver, isBound: () => true, looksUp: () => false, claim: () => undefined };
  return {
    state,
    route: (key) => {
      const attempt = new Attempt(parts, resolver.map() as RoutingMap);
      const [placed] = attempt.place('default', [key]) as [PlacedKey];
      const { cluster } = attempt;
      return guardStatement({ cluster, shard: placed.shard, own: [placed], absent: [], write: false }).sql;
    },
  };
}
