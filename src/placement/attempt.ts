import { MissingShardError, StaleRouteError } from '../errors';
import { hasListeners, publish, type RouteEvent } from '../telemetry/channels';
import { CONFLICT, conflictOf } from './conflict';
import { MOVED_BY, type PlacedKey } from './guard';
import { MAX_BULK_KEYS } from './hint-store';
import type { Placement } from './placement';
import type { Resolver } from './resolver';
import type { RoutingMap } from './routing-map';
import { Doubt, type MovedKey, type Refusal } from './signals';
import { slotOf } from './slots';
import { xor52 } from './xor';

/** Hints that one statement writes to KV at most: a bulk insert would write thousands, each of which costs. */
const MAX_HINT_WRITES = 20;

/** Where a key's home has sent us in this statement. */
interface Sent {
  /** Undefined: no hint is to be believed, home has to be asked. */
  readonly to: string | undefined;
  /** The version that `to` was known to have before home was asked; undefined when it was not home that answered. */
  readonly known: number | undefined;
}

/** Chooses where new keys go, and claims them on their home. */
export type ClaimKeys = (attempt: Attempt, keyspace: string, keys: readonly string[]) => Promise<PlacedKey[]>;

export interface AttemptParts {
  readonly resolver: Resolver;
  readonly isBound: (shard: string) => boolean;
  /** Whether KV may know where keys of a keyspace are; not worth asking where new keys stay on their home. */
  readonly looksUp: (keyspace: string) => boolean;
  /** Undefined for keyspaces whose new keys stay on their home. */
  readonly claim: (keyspace: string) => ClaimKeys | undefined;
}

/**
 * The placement as one try to run a statement sees it: one map, the hints, and what shards have answered to the tries
 * before. When a shard refuses, {@link Attempt.next} is the try after it.
 */
export class Attempt implements Placement {
  /** Snapshot from before any shard is asked: what "known before home was asked" means. */
  readonly versions: ReadonlyMap<string, number>;
  /** Names the statement, over all tries. */
  readonly name: string;
  /** Tables that rows of the statement got ids of the sequence for, over all tries. */
  readonly numbered: Set<string>;
  readonly #sent: ReadonlyMap<string, Sent>;
  /** Keys that no database came with, as far as the adoption of this id. */
  readonly #probed: ReadonlyMap<string, number>;
  #bound: readonly string[] | undefined;
  #writes = 0;

  constructor(
    readonly parts: AttemptParts,
    readonly routing: RoutingMap,
    sent: ReadonlyMap<string, Sent> = new Map(),
    numbered: Set<string> = new Set(),
    name: string = newName(),
    probed: ReadonlyMap<string, number> = new Map(),
  ) {
    this.name = name;
    this.#probed = probed;
    this.numbered = numbered;
    this.versions = parts.resolver.state.versions;
    this.#sent = sent;
  }

  get cluster(): string {
    return this.routing.map.cluster;
  }

  /** What the digests of all shards must add up to. */
  get base(): number {
    return xor52([this.routing.map.base, ...this.#missing().map((shard) => this.routing.joinWeightOf(shard))]);
  }

  /**
   * Shards without a binding here. Those that may be missing own nothing, and what they brought into the digests when they
   * joined is known: if they have taken part in a move since, the sum tells.
   */
  #missing(): readonly string[] {
    return this.routing.shards.filter((shard) => !this.parts.isBound(shard));
  }

  get shards(): readonly string[] {
    this.#bound ??= this.routing.shards.filter((shard) => this.parts.isBound(shard));
    return this.#bound;
  }

  place(keyspace: string, keys: Iterable<string>): PlacedKey[] | Promise<PlacedKey[]> {
    const placed: PlacedKey[] = [];
    const unknown: number[] = [];
    const looksUp = this.parts.looksUp(keyspace) && this.routing.isDirectory(keyspace);
    for (const key of keys) {
      const found = this.#known(keyspace, key);
      if (!found && looksUp) unknown.push(placed.length);
      const one = found ?? this.#atHome(keyspace, key);
      placed.push(one);
      if (found || !looksUp) tell(one, found ? (found.known === undefined ? 'cache' : 'home') : 'map');
    }
    // A long list is not worth so many reads: the homes answer for all of theirs at once.
    if (unknown.length === 0 || unknown.length > MAX_BULK_KEYS) return placed;
    return this.#lookUp(keyspace, placed, unknown);
  }

  placeNew(keyspace: string, keys: Iterable<string>): PlacedKey[] | Promise<PlacedKey[]> {
    const claim = this.parts.claim(keyspace);
    if (!claim) return [...keys].map((key) => this.#known(keyspace, key) ?? this.#atHome(keyspace, key));
    const list = [...keys];
    // What a hint was wrong about may be a key that nobody has claimed.
    const found = list.map((key) => (this.#goesHome(keyspace, key) ? undefined : this.#known(keyspace, key)));
    const fresh = list.filter((_, i) => !found[i]);
    if (fresh.length === 0) return found as PlacedKey[];
    return claim(this, keyspace, fresh).then((claimed) => {
      for (const one of claimed) tell(one, 'claim');
      const byKey = new Map(claimed.map((one) => [one.key, one]));
      return list.map((key, i) => (found[i] ?? byKey.get(key)) as PlacedKey);
    });
  }

  /** @throws StaleRouteError when the map has a hole; MissingShardError when the home has no binding here. */
  homeOf(keyspace: string, slot: number): string {
    const home = this.routing.homeOf(keyspace, slot);
    if (home === undefined)
      throw new Doubt(new StaleRouteError(`No shard owns slot ${slot} of the keyspace ${keyspace}.`), []);
    return this.bound(home);
  }

  bound(shard: string): string {
    if (!this.parts.isBound(shard)) throw new Doubt(new MissingShardError(shard), []);
    return shard;
  }

  /** Every shard that may hold rows, each with a binding: without one of them an answer would be partial. */
  everyShard(): readonly string[] {
    const { routing } = this;
    const missing = this.#missing();
    if (missing.length === 0) return routing.shards;
    // One that owns no slot can hold keys that were claimed for it. Where no keyspace claims, the digests tell.
    const claims = Object.values(routing.map.keyspaces).some((keyspace) => keyspace.directory);
    const needed = missing.find((shard) => claims || routing.ownsSlots(shard));
    if (needed !== undefined) throw new Doubt(new MissingShardError(needed), []);
    return this.shards;
  }

  wholeCluster(): readonly string[] {
    const [missing] = this.#missing();
    if (missing !== undefined) throw new Doubt(new MissingShardError(missing), []);
    return this.routing.shards;
  }

  /** The last adoption whose databases were looked into for this key, if any was. */
  probed(keyspace: string, key: string): number | undefined {
    return this.#probed.size > 0 ? this.#probed.get(sentKey(keyspace, key)) : undefined;
  }

  /**
   * The next try after databases that came with rows were looked into.
   *
   * @param found The shards that have the keys; of all others it is known that none has them.
   */
  async afterProbe(
    keys: readonly PlacedKey[],
    found: ReadonlyMap<PlacedKey, string>,
    adoption: number,
  ): Promise<Attempt> {
    const sent = new Map(this.#sent);
    const probed = new Map(this.#probed);
    for (const key of keys) {
      const at = sentKey(key.keyspace, key.key);
      const shard = found.get(key);
      if (shard === undefined) {
        probed.set(at, adoption);
        continue;
      }
      sent.set(at, { to: shard, known: undefined });
      this.remember(key.keyspace, key.key, shard, key.slot);
    }
    const routing = await this.parts.resolver.map();
    return new Attempt(this.parts, routing, sent, this.numbered, this.name, probed);
  }

  #known(keyspace: string, key: string): PlacedKey | undefined {
    // Where an address or a hint leads may be the home itself, and then what was probed counts there.
    const probed = this.probed(keyspace, key);
    if (this.#sent.size > 0) {
      const sent = this.#sent.get(sentKey(keyspace, key));
      if (sent && sent.to === undefined) return this.#atHome(keyspace, key);
      if (sent?.to !== undefined)
        return {
          keyspace,
          key,
          slot: slotOf(key),
          shard: this.bound(sent.to),
          ...(sent.known === undefined ? (probed === undefined ? {} : { probed }) : { known: sent.known }),
        };
    }
    const hint = this.parts.resolver.state.hints.get(keyspace, key);
    // A hint may name a shard that has gone since.
    if (hint === undefined || !this.parts.isBound(hint)) return undefined;
    const slot = slotOf(key);
    return probed === undefined ? { keyspace, key, slot, shard: hint } : { keyspace, key, slot, shard: hint, probed };
  }

  #goesHome(keyspace: string, key: string): boolean {
    const sent = this.#sent.get(sentKey(keyspace, key));
    return sent !== undefined && sent.to === undefined;
  }

  #atHome(keyspace: string, key: string): PlacedKey {
    const slot = slotOf(key);
    const probed = this.probed(keyspace, key);
    const shard = this.homeOf(keyspace, slot);
    return probed === undefined ? { keyspace, key, slot, shard } : { keyspace, key, slot, shard, probed };
  }

  async #lookUp(keyspace: string, placed: PlacedKey[], unknown: readonly number[]): Promise<PlacedKey[]> {
    const { store, state } = this.parts.resolver;
    const keys = unknown.map((at) => (placed[at] as PlacedKey).key);
    const hints = await store?.read(keyspace, keys);
    for (const at of unknown) {
      const one = placed[at] as PlacedKey;
      const shard = hints?.get(one.key);
      if (shard === undefined || !this.parts.isBound(shard)) {
        tell(one, 'map');
        continue;
      }
      state.hints.set(keyspace, one.key, shard);
      placed[at] = { ...one, shard };
      tell({ ...one, shard }, 'kv');
    }
    return placed;
  }

  /** A key was found to live on `shard`. */
  remember(keyspace: string, key: string, shard: string, slot: number): void {
    const { state, store } = this.parts.resolver;
    state.hints.set(keyspace, key, shard);
    // Not waited for: a hint that is lost costs a round trip later.
    if (!store || this.routing.homeOf(keyspace, slot) === shard || this.#writes >= MAX_HINT_WRITES) return;
    this.#writes++;
    void store.write(keyspace, key, shard);
  }

  /**
   * The next try after a refusal: follows the address that a shard gave, or asks the catalog, not KV, for the map.
   *
   * @param fromCatalog The map has to be read again even if the refusal alone does not say so, and only homes are believed.
   */
  async next(refusal: Refusal, fromCatalog: boolean): Promise<Attempt> {
    const { resolver } = this.parts;
    const { signal, keys, shard } = refusal;
    const sent = new Map(this.#sent);
    let isStale = fromCatalog;
    switch (signal.kind) {
      case 'identity':
        await resolver.checkIdentity(shard, this.cluster, signal);
        break;
      case 'moved':
        if (signal.keys.some(({ by }) => by === MOVED_BY.slot)) isStale = true;
        break;
      case 'not-owner':
        resolver.state.learnVersion(shard, signal.version);
        // Keys that a hint or another shard had sent here go to their home again; with none, the map was wrong.
        if (!this.#forget(keys, sent)) isStale = true;
        break;
      case 'draining':
        isStale = true;
        break;
      case 'unsettled':
        this.#forget(keys, sent);
        break;
    }
    const routing = isStale ? await resolver.refresh() : await resolver.map();
    if (signal.kind === 'moved') {
      for (const moved of signal.keys) {
        const key = keys[moved.at];
        if (key) this.#follow(key, moved, routing, sent, fromCatalog);
      }
    }
    return new Attempt(this.parts, routing, sent, this.numbered, this.name, this.#probed);
  }

  #follow(
    { keyspace, key, slot, shard }: PlacedKey,
    { to, by, version }: MovedKey,
    routing: RoutingMap,
    sent: Map<string, Sent>,
    onlyHomes: boolean,
  ): void {
    const { state } = this.parts.resolver;
    const at = sentKey(keyspace, key);
    if (version !== undefined) state.learnVersion(shard, version);
    if (to === CONFLICT) throw conflictOf(keyspace, key);
    if (by === MOVED_BY.home) {
      // Only home's word is so fresh that a shard without a record may be believed to own the key.
      sent.set(at, { to, known: this.versions.get(to) ?? 0 });
      this.remember(keyspace, key, to, slot);
      return;
    }
    // The address of a slot is good until its move is closed; after that the catalog knows better. A record on a shard that
    // once had the key leads on, unless it has led nowhere before.
    const isHome = routing.homeOf(keyspace, slot) === shard;
    const follows = by === MOVED_BY.slot ? isHome : !onlyHomes;
    sent.set(at, { to: follows ? to : undefined, known: undefined });
    state.hints.delete(keyspace, key);
  }

  /** The same with the map as the catalog has it. */
  async refreshed(): Promise<Attempt> {
    const { parts, numbered, name } = this;
    return new Attempt(parts, await parts.resolver.refresh(), this.#sent, numbered, name, this.#probed);
  }

  #forget(keys: readonly PlacedKey[], sent: Map<string, Sent>): boolean {
    let found = false;
    for (const { keyspace, key, slot, shard } of keys) {
      if (this.routing.homeOf(keyspace, slot) !== shard) found = true;
      // Also what KV says: it may say so for minutes.
      sent.set(sentKey(keyspace, key), { to: undefined, known: undefined });
      this.parts.resolver.state.hints.delete(keyspace, key);
    }
    return found;
  }
}

/** Tells who listens how a key's shard was found. */
function tell({ keyspace, key, shard }: PlacedKey, source: RouteEvent['source']): void {
  if (hasListeners('route')) publish('route', () => ({ keyspace, key, shard, source }));
}

/** Begins with the time, so that old ones are found by the primary key. */
export const newName = (): string => `${timeText(Date.now())}-${crypto.randomUUID()}`;

/** Milliseconds as text that sorts like them. */
export const timeText = (at: number): string => at.toString(36).padStart(9, '0');

const sentKey = (keyspace: string, key: string): string => `${keyspace}\0${key}`;
