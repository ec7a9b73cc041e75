import { ConfigError } from '../errors';

type UpTo<Count extends number, Names extends string[] = []> = Names['length'] extends Count
  ? Names[number]
  : UpTo<Count, [...Names, `shard-${Names['length']}`]>;

/** How many shards, their names, or the databases by name. */
export type ShardsOption = number | readonly string[] | Readonly<Record<string, D1Database>>;

/** The names of shards: of a number, `shard-0`, `shard-1`, ... */
export type ShardName<TShards extends ShardsOption> = TShards extends number
  ? number extends TShards
    ? `shard-${number}`
    : UpTo<TShards>
  : TShards extends readonly string[]
    ? TShards[number]
    : Extract<keyof TShards, string>;

/** @throws ConfigError when there are none, or two have one name. */
export function shardNames(shards: ShardsOption): string[] {
  const names = namesOf(shards);
  if (names.length === 0 || new Set(names).size < names.length) {
    throw new ConfigError(`These are no shards for a test: ${JSON.stringify(shards)}.`, {
      remedy: "Write how many, as in shards: 3, or different names, as in shards: ['db-east', 'db-west'].",
    });
  }
  return names;
}

function namesOf(shards: ShardsOption): string[] {
  if (typeof shards === 'object') return Array.isArray(shards) ? shards : Object.keys(shards);
  return Number.isInteger(shards) && shards > 0 ? Array.from({ length: shards }, (_, index) => `shard-${index}`) : [];
}

/**
 * The binding that a shard has in a Worker unless one says otherwise.
 *
 * @example
 * bindingName('db-east'); // 'DB_EAST'
 */
export const bindingName = (shard: string): string => shard.toUpperCase().replace(/[^A-Z0-9]+/g, '_');

/** @throws ConfigError when two shards would have one binding. */
export function bindingNames(shards: readonly string[]): string[] {
  const names = shards.map(bindingName);
  const twice = names.findIndex((name, index) => names.indexOf(name) < index);
  if (twice < 0) return names;
  throw new ConfigError(`Two shards' bindings are both ${names[twice]}.`, {
    remedy: `Call ${shards[twice]} something else.`,
  });
}

/** The bindings that `shardBindings` makes besides the databases. */
export const KV_BINDING = 'KV';
export const COORDINATOR_BINDING = 'SHARD_COORDINATOR';
export const MIGRATIONS_BINDING = 'SHARD_MIGRATIONS';
