import { ConfigError } from '../errors';

/** Workers open that many connections at once. */
const CONNECTIONS = 6;

/** @throws ConfigError */
export function atATime(concurrency = CONNECTIONS): number {
  if (Number.isInteger(concurrency) && concurrency > 0) return concurrency;
  throw new ConfigError(`concurrency is ${concurrency}.`, { remedy: 'Write a whole number above 0.' });
}

/**
 * Shards in the order in which they are changed.
 *
 * @throws ConfigError
 */
export function canaryFirst(names: readonly string[], canary = names[0]): string[] {
  if (canary === undefined || !names.includes(canary)) {
    throw new ConfigError(`The canary ${canary} is no shard.`, { remedy: `Write one of: ${names.join(', ')}.` });
  }
  return [canary, ...names.filter((name) => name !== canary)];
}
