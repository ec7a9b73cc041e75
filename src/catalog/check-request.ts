import { ConfigError } from '../errors';
import type { OpenRequest } from './catalog';

/**
 * Weights are spread as whole millionths, so that cutting 16,384 slots is exact integer arithmetic: with the largest
 * weight on 5,000 shards, which is what a Worker can bind, slots x millionths still fits 63 bits.
 */
export const WEIGHT_UNIT = 1e6;
const MIN_WEIGHT = 0.001;
const MAX_WEIGHT = 100_000;

/** Refuses what a catalog must never be made from: it could not be taken back later. */
export function checkOpenRequest({ shards, keyspaces }: OpenRequest): void {
  if (shards.length === 0) {
    throw new ConfigError('A cluster needs at least one shard.', { remedy: 'Name a D1 binding in `shards`.' });
  }
  checkNames('shard', shards);
  checkNames('keyspace', keyspaces);
  for (const { name, weight } of shards) {
    if (weight !== undefined && !(weight >= MIN_WEIGHT && weight <= MAX_WEIGHT)) {
      throw new ConfigError(`The weight of shard ${name} is ${weight}.`, {
        shard: name,
        remedy: `Give a number from ${MIN_WEIGHT} to ${MAX_WEIGHT}.`,
      });
    }
  }
}

function checkNames(what: string, items: readonly { name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of items) {
    if (name === '') throw new ConfigError(`A ${what} has an empty name.`);
    if (seen.has(name)) throw new ConfigError(`The ${what} ${name} is named twice.`);
    seen.add(name);
  }
}

/** Refuses a size or bound that has no exact number in JavaScript and JSON. */
export function checkBlockRequest(size: number, atLeast = 0): void {
  if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`A block has 1 or more numbers, not ${size}.`);
  if (!Number.isSafeInteger(atLeast))
    throw new RangeError(`A block begins above a safe integer, not above ${atLeast}.`);
}
