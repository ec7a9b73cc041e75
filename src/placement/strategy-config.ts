import type { ShardedConfig, ShardLocation } from '../config';
import { ConfigError } from '../errors';
import { checkRegion, type Point, pointOf, type Region } from './regions';
import { checkStrategy, type Strategy, strategyName } from './strategies';

/** What the configuration says of where new keys go. */
export interface Strategies {
  of(keyspace: string): Strategy;
  /** The name that the catalog stores. */
  nameOf(keyspace: string): string;
  readonly locations: Readonly<Record<string, ShardLocation>>;
  /** `targetRegion`. */
  readonly near: Point | undefined;
}

/** @throws ConfigError for a strategy, keyspace, shard or region that does not exist. */
export function readStrategies(
  { strategy = 'hash', shardLocations = {}, targetRegion }: ShardedConfig,
  shards: readonly string[],
  keyspaces: readonly string[],
): Strategies {
  const single = typeof strategy !== 'object' || strategy === null;
  if (single) checkStrategy('strategy', strategy);
  else {
    for (const [keyspace, one] of Object.entries(strategy)) {
      checkStrategy(`strategy.${keyspace}`, one);
      if (!keyspaces.includes(keyspace)) {
        throw new ConfigError(`strategy.${keyspace}: no table is in a keyspace of that name.`, {
          remedy: `Write one of: ${keyspaces.join(', ')}.`,
        });
      }
    }
  }
  const locations = readLocations(shardLocations, shards);
  if (targetRegion !== undefined) checkRegion('targetRegion', targetRegion);
  const of = (keyspace: string): Strategy =>
    single ? (strategy as Strategy) : ((strategy as Record<string, Strategy>)[keyspace] ?? 'hash');
  if (keyspaces.some((keyspace) => of(keyspace) === 'location') && Object.keys(locations).length === 0) {
    throw new ConfigError("strategy is 'location', and no shard has a location.", {
      remedy: `Write shardLocations: { '${shards[0]}': { region: 'weur' } }.`,
    });
  }
  const near = targetRegion === undefined ? undefined : pointOf(targetRegion);
  return { of, nameOf: (keyspace) => strategyName(of(keyspace)), locations, near };
}

function readLocations(
  given: Readonly<Record<string, ShardLocation | Region | undefined>>,
  shards: readonly string[],
): Record<string, ShardLocation> {
  const locations: Record<string, ShardLocation> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!shards.includes(name)) {
      throw new ConfigError(`shardLocations['${name}'] is no shard.`, {
        remedy: `Write one of: ${shards.join(', ')}.`,
      });
    }
    if (value === undefined) continue;
    const location = typeof value === 'string' ? { region: value } : value;
    checkRegion(`shardLocations['${name}'].region`, location.region);
    const { priority } = location;
    if (priority !== undefined && !(Number.isFinite(priority) && priority > 0)) {
      throw new ConfigError(`shardLocations['${name}'].priority is ${priority}.`, {
        remedy: 'Write a number above 0.',
      });
    }
    locations[name] = location;
  }
  return locations;
}
