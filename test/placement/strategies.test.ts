import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors';
import { pointOf, type Region } from '../../src/placement/regions';
import { evenRanges, slotOf } from '../../src/placement/slots';
import {
  type Candidate,
  checkStrategy,
  nearest,
  type PlaceKey,
  placedBy,
  random,
  roundRobin,
  strategyName,
} from '../../src/placement/strategies';

const shard = (name: string, more: Partial<Candidate> = {}): Candidate => ({ name, weight: 1, priority: 1, ...more });
const inRegion = (name: string, region: Region, priority = 1) => shard(name, { region, priority });
const KEYS = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);

/** How many times each name comes. */
function count(names: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Within 5 % of what is expected. */
function near(actual: number | undefined, expected: number) {
  expect((actual ?? 0) / expected).toBeGreaterThan(0.95);
  expect((actual ?? 0) / expected).toBeLessThan(1.05);
}

/** The same numbers from 0 to 1 in every run (a linear congruential generator; constants of Numerical Recipes). */
function numbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('round-robin', () => {
  it('begins with the first shard at turn 1 and goes round', () => {
    const shards = [shard('a', { weight: 9 }), shard('b'), shard('c')];
    expect([1, 2, 3, 4, 5, 6, 7].map((turn) => roundRobin(turn, shards)).join('')).toBe('abcabca');
    expect(roundRobin(Number.MAX_SAFE_INTEGER, [shard('only')])).toBe('only');
  });
});

describe('random', () => {
  it('gives each shard its share by weight', () => {
    const rnd = numbers();
    const shards = [shard('a', { priority: 50 }), shard('b', { weight: 3 }), shard('c', { weight: 0.5 })];
    const counts = count(KEYS.map(() => random(shards, rnd)));
    near(counts.a, 10_000 / 4.5);
    near(counts.b, 30_000 / 4.5);
    near(counts.c, 5_000 / 4.5);
  });

  it('covers the ends and the border of what the source of numbers gives', () => {
    const shards = [shard('a', { weight: 0.1 }), shard('b', { weight: 0.2 }), shard('c', { weight: 0.3 })];
    expect(random(shards, () => 0)).toBe('a');
    expect(random([shard('a'), shard('b')], () => 0.5)).toBe('b');
    expect(random(shards, () => 1 - Number.EPSILON / 2)).toBe('c');
  });

  it('takes Math.random by itself', () => {
    expect(Object.keys(count(KEYS.map(() => random([shard('a'), shard('b')])))).sort()).toEqual(['a', 'b']);
  });
});

describe('nearest', () => {
  const world = [inRegion('sf', 'wnam'), inRegion('va', 'enam'), inRegion('fra', 'weur'), inRegion('syd', 'oc')];
  const london = pointOf({ latitude: '51.5', longitude: '-0.1' });

  it.each([
    ['wnam', 'sf'],
    ['enam', 'va'],
    ['weur', 'fra'],
    ['eeur', 'fra'],
    ['oc', 'syd'],
    ['apac', 'syd'],
  ] as const)('places all keys from %s on %s', (region, name) => {
    const point = pointOf(region);
    expect(count(KEYS.slice(0, 100).map((key) => nearest(key, world, point)))).toEqual({ [name]: 100 });
  });

  it('goes on to the next nearest region when the nearest one is left out', () => {
    const without = (...names: string[]) => world.filter((candidate) => !names.includes(candidate.name));
    expect(nearest('k', world, london)).toBe('fra');
    expect(nearest('k', without('fra'), london)).toBe('va');
    expect(nearest('k', without('fra', 'va'), london)).toBe('sf');
    expect(nearest('k', without('fra', 'va', 'sf'), london)).toBe('syd');
  });

  it('shares the keys of one region by priority, not by weight', () => {
    const shards = [
      inRegion('far', 'oc', 100),
      { ...inRegion('one', 'weur', 1), weight: 100 },
      inRegion('three', 'weur', 3),
      shard('anywhere', { priority: 100 }),
    ];
    const counts = count(KEYS.map((key) => nearest(key, shards, london)));
    expect(Object.keys(counts).sort()).toEqual(['one', 'three']);
    near(counts.one, 2500);
    near(counts.three, 7500);
  });

  it('chooses alike each time, and by the key', () => {
    const shards = [inRegion('a', 'weur'), inRegion('b', 'weur')];
    const choices = KEYS.map((key) => nearest(key, shards, london));
    expect(KEYS.map((key) => nearest(key, structuredClone(shards), london))).toEqual(choices);
    near(count(choices).a, 5000);
  });

  it('is the home shard where equal shards are all in one region', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const starts = evenRanges(names.length);
    const homeOf = (key: string) => names[starts.findLastIndex((start) => start <= slotOf(key))];
    const shards = names.map((name) => inRegion(name, 'weur'));
    for (const key of KEYS) expect(nearest(key, shards, london)).toBe(homeOf(key));
  });

  it('takes a shard without a known region only when none has one', () => {
    const nowhere = [shard('x'), shard('y', { region: 'mars', priority: 3 })];
    expect(nearest('k', [...nowhere, inRegion('syd', 'oc')], london)).toBe('syd');
    const counts = count(KEYS.map((key) => nearest(key, nowhere, london)));
    near(counts.x, 2500);
    near(counts.y, 7500);
  });

  it('without a point shares keys over all by priority, always alike', () => {
    const shards = [inRegion('a', 'weur'), inRegion('b', 'oc', 2), shard('c')];
    const choices = KEYS.map((key) => nearest(key, shards, undefined));
    expect(KEYS.map((key) => nearest(key, shards, undefined))).toEqual(choices);
    const counts = count(choices);
    near(counts.a, 2500);
    near(counts.b, 5000);
    near(counts.c, 2500);
  });
});

describe('the function of a user', () => {
  const shards = [shard('a'), shard('b', { region: 'weur' })];

  it('is asked with the key and the candidates, and its choice is taken', () => {
    const place: PlaceKey = (key, candidates) => {
      expect(key).toBe('k');
      expect(candidates).toEqual(shards);
      return 'b';
    };
    expect(placedBy(place, 'k', shards)).toBe('b');
  });

  it.each<[string, unknown, RegExp]>([
    ['another name', 'c', /returned 'c' for the key 'user-1'\. Return .*: a, b\.$/],
    ['another spelling', 'A', /returned 'A'/],
    ['an empty name', '', /returned ''/],
    ['nothing', undefined, /returned undefined/],
    ['null', null, /returned null/],
    ['an index', 0, /returned 0 for/],
    ['the shard itself', shards[0], /returned an object/],
    ['a String object', Object('a'), /returned an object/],
    ['a function', () => 'a', /returned a function/],
    ['a promise of a name', Promise.resolve('a'), /returned a promise.*must not be async.*: a, b\.$/],
  ])('is refused %s', (_what, returned, message) => {
    const act = () => placedBy(() => returned as string, 'user-1', shards);
    expect(act).toThrow(ConfigError);
    expect(act).toThrow(message);
    expect(act).toThrow(/user-1/);
  });

  it('does not fill a message with a thousand names', () => {
    const many = Array.from({ length: 1000 }, (_, i) => shard(`s${i}`));
    expect(() => placedBy(() => 'x', 'k', many)).toThrow(/s0, s1, .*, s19, and 980 more\.$/);
  });

  it('may throw', () => {
    const error = new Error('no tenant');
    const act = () =>
      placedBy(
        () => {
          throw error;
        },
        'k',
        shards,
      );
    expect(act).toThrow(error);
  });
});

it.each<[string, () => string]>([
  ['round-robin', () => roundRobin(1, [])],
  ['random', () => random([])],
  ['nearest', () => nearest('k', [], pointOf('weur'))],
  ['nearest without a point', () => nearest('k', [], undefined)],
  ['a function', () => placedBy(() => 'a', 'k', [])],
])('%s is an error when no shard takes new keys', (_name, act) => {
  expect(act).toThrow(ConfigError);
  expect(act).toThrow(/^No shard takes new keys/);
});

describe('a strategy in the configuration', () => {
  it.each(['hash', 'round-robin', 'random', 'location'])('may be %s', (name) => {
    expect(() => checkStrategy('strategy', name)).not.toThrow();
    expect(strategyName(name as 'hash')).toBe(name);
  });

  it('may be a function', () => {
    const place: PlaceKey = () => 'a';
    expect(() => checkStrategy('strategy', place)).not.toThrow();
    expect(strategyName(place)).toBe('custom');
  });

  it.each([['Hash'], ['custom'], [''], [undefined], [null], [1], [{}], [['hash']]])('may not be %j', (value) => {
    const check = () => checkStrategy('The strategy of keyspace k', value);
    expect(check).toThrow(ConfigError);
    expect(check).toThrow(
      /^The strategy of keyspace k is .*'hash', 'round-robin', 'random', 'location', or a function/,
    );
  });
});
