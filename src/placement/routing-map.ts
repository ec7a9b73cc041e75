import type { KeyspaceMap, ShardInfo, ShardMap } from '../catalog/catalog';
import { SLOTS } from './slots';

/** In place of a shard's index: nobody owns the slot. A Worker can bind 5,000 databases: no index comes near. */
const NOBODY = 0xffff;

/** A keyspace's owners by slot, as indexes into the map's shards. */
type Homes = Uint16Array;

/**
 * The catalog's map, compiled so that the hot path is two array lookups. Never changes; a newer map makes a new one.
 *
 * A keyspace costs 32 KB. A slot that no range covers, or whose range names a shard that the map does not have, has no
 * home: a router that meets one has a broken map and must ask the catalog.
 *
 * @example
 * const routing = new RoutingMap(await catalog.open(request));
 * routing.homeOf('default', slotOf('user-123'));
 */
export class RoutingMap {
  /** Every shard that may hold rows, which is all that are not retired, in the catalog's order. */
  readonly shards: readonly string[];
  /** The shards among which a new key's is chosen: the active ones, in the catalog's order. */
  readonly takesNewKeys: readonly ShardInfo[];

  readonly #names: readonly string[];
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #homes = new Map<string, Homes>();
  readonly #directories: ReadonlySet<string>;
  /** Slots of each shard, all keyspaces together. */
  readonly #slots: Float64Array;

  constructor(readonly map: ShardMap) {
    this.#names = map.shards.map((shard) => shard.name);
    this.#indexes = new Map(this.#names.map((name, index) => [name, index]));
    this.shards = map.shards.filter((shard) => shard.state !== 'retired').map((shard) => shard.name);
    this.takesNewKeys = map.shards.filter((shard) => shard.state === 'active');
    this.#slots = new Float64Array(map.shards.length);
    const keyspaces = Object.entries(map.keyspaces);
    this.#directories = new Set(keyspaces.filter(([, keyspace]) => isDirectory(keyspace)).map(([name]) => name));
    for (const [name, keyspace] of keyspaces) this.#homes.set(name, this.#compile(keyspace));
  }

  /** The shard that owns a slot of a keyspace; undefined for an unknown keyspace, and for a slot without an owner. */
  homeOf(keyspace: string, slot: number): string | undefined {
    return this.#names[this.#homes.get(keyspace)?.[slot] ?? NOBODY];
  }

  /** What a shard that joined later brought into the digests, as long as no move has changed it. */
  joinWeightOf(name: string): number {
    return this.map.shards.find((shard) => shard.name === name)?.joinWeight ?? 0;
  }

  /** The state of a shard; undefined when the map does not have it. */
  stateOf(name: string): ShardInfo['state'] | undefined {
    const index = this.#indexes.get(name);
    return index === undefined ? undefined : this.map.shards[index]?.state;
  }

  /** The share of slots that a shard owns, from 0 to 1: the average over all keyspaces. */
  shareOf(name: string): number {
    return this.#slotsOf(name) / (SLOTS * Math.max(1, this.#homes.size));
  }

  /** Whether a shard owns a slot of any keyspace. */
  ownsSlots(name: string): boolean {
    return this.#slotsOf(name) > 0;
  }

  /**
   * Whether a key of the keyspace may live elsewhere than on its home shard: a strategy that stores its choices is or
   * was in use, so that the home shard must be asked.
   */
  isDirectory(keyspace: string): boolean {
    return this.#directories.has(keyspace);
  }

  #slotsOf(name: string): number {
    return this.#slots[this.#indexes.get(name) ?? NOBODY] ?? 0;
  }

  #compile({ ranges }: KeyspaceMap): Homes {
    const homes = new Uint16Array(SLOTS).fill(NOBODY);
    for (const { lo, hi, shard } of ranges) homes.fill(this.#indexes.get(shard) ?? NOBODY, lo, hi + 1);
    for (const index of homes) {
      if (index !== NOBODY) this.#slots[index] = (this.#slots[index] as number) + 1;
    }
    return homes;
  }
}

/** A snapshot that an older version published does not say: it knew no other strategy than hash. */
const isDirectory = ({ directory }: KeyspaceMap): boolean => directory === true;
