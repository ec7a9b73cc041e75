import { describe, expect, it } from 'vitest';
import type { KeyspaceMap, ShardInfo, ShardMap, SlotRange } from '../../src/catalog/catalog';
import { RoutingMap } from '../../src/placement/routing-map';
import { evenRanges, SLOTS } from '../../src/placement/slots';

const shard = (name: string, state: ShardInfo['state'] = 'active'): ShardInfo => ({ name, weight: 1, state });
const range = (lo: number, hi: number, name: string): SlotRange => ({ lo, hi, shard: name });
const keyspace = (ranges: SlotRange[], more: Partial<KeyspaceMap> = {}) =>
  ({ strategy: 'hash', ranges, ...more }) as KeyspaceMap;
const mapOf = (shards: ShardInfo[], keyspaces: Record<string, KeyspaceMap>): ShardMap => ({
  cluster: 'c',
  epoch: 1,
  base: 0,
  shards,
  keyspaces,
});

const LAST = SLOTS - 1;

describe('a routing map', () => {
  const map = mapOf(
    [shard('west'), shard('gone', 'retired'), shard('new', 'adding'), shard('east'), shard('old', 'draining')],
    {
      default: keyspace([range(0, 4095, 'west'), range(4096, 8191, 'east'), range(8192, LAST, 'old')]),
      tenants: keyspace([range(0, LAST, 'east')], { strategy: 'location', directory: true }),
    },
  );
  const routing = new RoutingMap(map);

  it('finds the owner at both ends of each range', () => {
    const homes = [0, 4095, 4096, 8191, 8192, LAST].map((slot) => routing.homeOf('default', slot));
    expect(homes).toEqual(['west', 'west', 'east', 'east', 'old', 'old']);
    expect([0, LAST].map((slot) => routing.homeOf('tenants', slot))).toEqual(['east', 'east']);
  });

  it('has no home for an unknown keyspace or a slot that there is not', () => {
    expect(routing.homeOf('none', 0)).toBeUndefined();
    expect(routing.homeOf('constructor', 0)).toBeUndefined();
    expect(routing.homeOf('default', SLOTS)).toBeUndefined();
    expect(routing.homeOf('default', -1)).toBeUndefined();
  });

  it('lists the shards that may hold rows, and those that take new keys, in the order of the catalog', () => {
    expect(routing.shards).toEqual(['west', 'new', 'east', 'old']);
    expect(routing.takesNewKeys).toEqual([shard('west'), shard('east')]);
  });

  it('tells the state of each shard', () => {
    const states = ['west', 'gone', 'new', 'old', 'none'].map((name) => routing.stateOf(name));
    expect(states).toEqual(['active', 'retired', 'adding', 'draining', undefined]);
  });

  it('tells the share of each shard, on average over keyspaces', () => {
    const shares = ['west', 'east', 'old', 'new', 'gone', 'none'].map((name) => routing.shareOf(name));
    expect(shares).toEqual([1 / 8, 5 / 8, 1 / 4, 0, 0, 0]);
  });

  it('tells who owns slots of any keyspace', () => {
    const owners = ['west', 'east', 'old', 'new', 'gone', 'none'].filter((name) => routing.ownsSlots(name));
    expect(owners).toEqual(['west', 'east', 'old']);
  });

  it('tells which keyspaces have a directory; a snapshot that does not say has none', () => {
    expect(['tenants', 'default', 'none'].map((name) => routing.isDirectory(name))).toEqual([true, false, false]);
  });

  it('keeps the map', () => {
    expect(routing.map).toBe(map);
  });
});

describe('a broken map', () => {
  const holes = new RoutingMap(
    mapOf([shard('a'), shard('b')], {
      default: keyspace([range(1, 99, 'a'), range(200, 299, 'b'), range(300, 399, 'unknown')]),
    }),
  );

  it('has no home where no range is', () => {
    const homes = [0, 1, 99, 100, 199, 200, 299].map((slot) => holes.homeOf('default', slot));
    expect(homes).toEqual([undefined, 'a', 'a', undefined, undefined, 'b', 'b']);
    expect(holes.homeOf('default', LAST)).toBeUndefined();
  });

  it('has no home where a range names a shard that is not there', () => {
    expect(holes.homeOf('default', 300)).toBeUndefined();
    expect(holes.ownsSlots('unknown')).toBe(false);
  });

  it('counts only slots that are owned', () => {
    expect([holes.shareOf('a'), holes.shareOf('b')]).toEqual([99 / SLOTS, 100 / SLOTS]);
  });

  it('may be empty', () => {
    const empty = new RoutingMap(mapOf([shard('a')], {}));
    expect([empty.shareOf('a'), empty.ownsSlots('a'), empty.homeOf('default', 0)]).toEqual([0, false, undefined]);
    expect(new RoutingMap(mapOf([], { default: keyspace([]) })).homeOf('default', 0)).toBeUndefined();
  });
});

it('a map of 1,000 shards gives each slot to its owner', () => {
  const starts = evenRanges(1000);
  const ranges = starts.map((start, i) => range(start, (starts[i + 1] ?? SLOTS) - 1, `s${i}`));
  const shards = starts.map((_, i) => shard(`s${i}`));
  const routing = new RoutingMap(mapOf(shards, { one: keyspace(ranges), two: keyspace(ranges) }));
  for (const { lo, hi, shard: name } of ranges) {
    for (let slot = lo; slot <= hi; slot++) expect(routing.homeOf('two', slot)).toBe(name);
  }
  const total = routing.shards.reduce((sum, name) => sum + routing.shareOf(name), 0);
  expect(total).toBeCloseTo(1, 9);
});
