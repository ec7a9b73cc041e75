import { ConfigError } from '../errors';
import { distanceKm, isRegion, type Point, pointOf } from './regions';
import { SLOTS, slotOf } from './slots';

/** A shard that may take new keys. The caller leaves out those that may not: adding, draining, retired. */
export interface Candidate {
  readonly name: string;
  /** A region code; one that is not known counts as none. */
  readonly region?: string;
  /** Above 0: its share of keys placed at random, relative to the other shards. */
  readonly weight: number;
  /** Above 0: its share of keys placed by location, relative to the other shards of its region. */
  readonly priority: number;
}

/**
 * Decides where a new key goes, by a shard's name. Called for a key that has no shard yet; of several answers for the
 * same key the first one that is stored holds. Shards come in the catalog's order.
 *
 * @example
 * const byCountry: PlaceKey = (key) => (key.startsWith('de-') ? 'db-europe' : 'db-world');
 */
export type PlaceKey = (key: string, shards: readonly Candidate[]) => string;

const NAMES = ['hash', 'round-robin', 'random', 'location'] as const;

/** - `hash`: computed from the key, never looked up. The others choose once for each new key, and store the choice. */
export type StrategyName = (typeof NAMES)[number];

/** How a new key finds its shard. */
export type Strategy = StrategyName | PlaceKey;

/**
 * Refuses what is neither a strategy's name nor a function.
 *
 * @throws ConfigError that says what can be written.
 */
export function checkStrategy(where: string, value: unknown): asserts value is Strategy {
  if (typeof value === 'function' || NAMES.some((name) => name === value)) return;
  throw new ConfigError(`${where} is ${shown(value)}.`, {
    remedy: `Write ${NAMES.map((name) => `'${name}'`).join(', ')}, or a function (key, shards) => shard name.`,
  });
}

/** What the catalog stores of a strategy: a function is only `custom` there. */
export const strategyName = (strategy: Strategy): StrategyName | 'custom' =>
  typeof strategy === 'function' ? 'custom' : strategy;

/**
 * One shard after the other, whatever their weights: `turn` 1 is the first shard's. Turns come from a counter of the
 * catalog, so that all isolates take part in one round.
 *
 * @throws ConfigError when there is no candidate.
 */
export function roundRobin(turn: number, shards: readonly Candidate[]): string {
  checkSome(shards);
  return (shards[(turn - 1) % shards.length] as Candidate).name;
}

/**
 * A shard at random, in proportion to the weights.
 *
 * @param rnd gives a number from 0 up to but not including 1.
 * @throws ConfigError when there is no candidate.
 */
export function random(shards: readonly Candidate[], rnd: () => number = Math.random): string {
  checkSome(shards);
  return pick(shards, ({ weight }) => weight, rnd());
}

/**
 * A shard of the region that is nearest to a point. Among several of that region the key's slot decides, in proportion
 * to the priorities: isolates that place the same new key at the same time choose alike, given the same candidates in
 * the same order.
 *
 * A shard without a region is taken only when none has one. Without a point there is no nearest region, and the key's
 * slot decides among all candidates.
 *
 * @example
 * nearest('user-123', candidates, pointOf(request.cf));
 * @throws ConfigError when there is no candidate.
 */
export function nearest(key: string, shards: readonly Candidate[], point: Point | undefined): string {
  checkSome(shards);
  return pick(point ? nearestTo(point, shards) : shards, ({ priority }) => priority, fractionOf(key));
}

function nearestTo(point: Point, shards: readonly Candidate[]): readonly Candidate[] {
  let best: Candidate[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const shard of shards) {
    const at = isRegion(shard.region) ? pointOf(shard.region) : undefined;
    if (!at) continue;
    const distance = distanceKm(point, at);
    if (distance < least) {
      best = [shard];
      least = distance;
    } else if (distance === least) {
      best.push(shard);
    }
  }
  return best.length > 0 ? best : shards;
}

/**
 * Asks the user's function, and believes it only when it names a candidate: a key placed elsewhere would be lost.
 *
 * @throws ConfigError when there is no candidate, or the function does not return the name of one. What the function
 * itself throws is passed on.
 */
export function placedBy(place: PlaceKey, key: string, shards: readonly Candidate[]): string {
  checkSome(shards);
  const name: unknown = place(key, shards);
  if (typeof name === 'string' && shards.some((shard) => shard.name === name)) return name;
  const synchronous = isThenable(name) ? 'The strategy function must not be async. ' : '';
  throw new ConfigError(`The strategy function returned ${shown(name)} for the key '${key}'.`, {
    remedy: `${synchronous}Return the name of a shard that takes new keys: ${listed(shards)}.`,
  });
}

function checkSome(shards: readonly Candidate[]): void {
  if (shards.length > 0) return;
  throw new ConfigError('No shard takes new keys: every one is being added, is draining, or is retired.', {
    remedy: 'Add a shard, or make one active again.',
  });
}

/** The shard that holds the point `at` (0 to 1) of a line on which each shard has a stretch as long as its share. */
function pick(shards: readonly Candidate[], share: (shard: Candidate) => number, at: number): string {
  const total = shards.reduce((sum, shard) => sum + share(shard), 0);
  let left = at * total;
  for (const shard of shards) {
    left -= share(shard);
    if (left < 0) return shard.name;
  }
  // The subtractions may have rounded the other way than the sum.
  return (shards[shards.length - 1] as Candidate).name;
}

/**
 * A number from 0 up to but not including 1 that is always the same for a key. Of the key's slot: where all shards are
 * in one region, with equal priorities and even ranges, a key's shard is then its home shard, which is asked anyway.
 */
const fractionOf = (key: string): number => slotOf(key) / SLOTS;

/** As many names as fit a message. */
const LISTED = 20;

function listed(shards: readonly Candidate[]): string {
  const names = shards.slice(0, LISTED).map((shard) => shard.name);
  return names.join(', ') + (shards.length > LISTED ? `, and ${shards.length - LISTED} more` : '');
}

const isThenable = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (isThenable(value)) return 'a promise';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
