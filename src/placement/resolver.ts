import type { Catalog, CatalogView, OpenRequest, ShardMap } from '../catalog/catalog';
import { ShardIdentityError } from '../errors';
import type { HintStore } from './hint-store';
import type { IsolateState } from './isolate';
import { RoutingMap } from './routing-map';

/** How old the map in the isolate may grow before KV or the catalog is asked again. Until then stale costs a round trip. */
const MAP_MAX_AGE_MS = 60_000;

export interface ResolverParts {
  readonly state: IsolateState;
  readonly catalog: Catalog;
  readonly store: HintStore | undefined;
  /** What the configuration says of the cluster. */
  readonly request: OpenRequest;
  /** The same with what databases that the cluster does not know come with. */
  readonly survey: (request: OpenRequest, view: CatalogView | undefined) => Promise<OpenRequest>;
  /** Databases came with rows: begins to scan them. */
  readonly adopt: (map: ShardMap) => Promise<unknown>;
  /** Tells databases their part: see `enrolPending`. */
  readonly enrol: (view: CatalogView) => Promise<CatalogView>;
}

/** Finds the map of the cluster: isolate, then KV, then the catalog, which is the truth and makes the cluster when there is none. */
export class Resolver {
  readonly #parts: ResolverParts;

  constructor(parts: ResolverParts) {
    this.#parts = parts;
  }

  get state(): IsolateState {
    return this.#parts.state;
  }

  get store(): HintStore | undefined {
    return this.#parts.store;
  }

  get catalog(): Catalog {
    return this.#parts.catalog;
  }

  /** The map, as old as the isolate or KV has it. Synchronous on the hot path. */
  map(): RoutingMap | Promise<RoutingMap> {
    const { map } = this.state;
    return map && Date.now() - map.at < MAP_MAX_AGE_MS ? map.routing : this.#load();
  }

  async #load(): Promise<RoutingMap> {
    const { state, store } = this.#parts;
    const found = await store?.readMap();
    const known = state.map?.routing.map;
    // KV may be minutes behind what this isolate has seen since.
    const isOlder = known && (found?.cluster !== known.cluster || found.epoch < known.epoch);
    const usable = isOlder && found ? known : found;
    if (usable && this.#covers(usable)) return this.#adopt(usable);
    return this.refresh(found);
  }

  /**
   * The map as the catalog has it. Makes the cluster, registers what the configuration has and the catalog has not, and
   * tells databases their part.
   *
   * @throws ShardIdentityError when a binding is another database than its name says.
   */
  async refresh(published?: ShardMap): Promise<RoutingMap> {
    const { catalog, request, state, store, enrol, survey, adopt } = this.#parts;
    let view = await catalog.map();
    if (!view || !this.#covers(view.map)) {
      view = await catalog.open(await survey(request, view));
      state.announced = true;
    }
    if (view.pending.length > 0) view = await enrol(view);
    const { map } = view;
    if (!state.adopting && Object.values(map.keyspaces).some(({ adopting }) => adopting)) {
      await adopt(map);
      state.adopting = true;
    }
    if (store && (published?.cluster !== map.cluster || published.epoch !== map.epoch)) await store.writeMap(map);
    return this.#adopt(map);
  }

  /** The catalog as it is, and what {@link Resolver.refresh} would have to tell it first. Changes nothing. */
  async preview(): Promise<{ readonly view: CatalogView | undefined; readonly opens: OpenRequest | undefined }> {
    const { catalog, request, survey } = this.#parts;
    const view = await catalog.map();
    return { view, opens: view && this.#covers(view.map) ? undefined : await survey(request, view) };
  }

  /** A shard is not who it was taken for: the map may be of a cluster that is no more; otherwise the binding is wrong. */
  async checkIdentity(
    shard: string,
    cluster: string,
    found: { readonly name: string | null; readonly cluster: string | null },
  ): Promise<void> {
    const { map } = await this.refresh();
    if (map.cluster === cluster) throw new ShardIdentityError(shard, cluster, found);
  }

  #adopt(map: ShardMap): RoutingMap {
    const { state } = this;
    const known = state.map?.routing;
    // Two that ask at once may be answered in the other order.
    const isSame = known?.map.cluster === map.cluster && known.map.epoch >= map.epoch;
    if (known && known.map.cluster !== map.cluster) state.forget();
    const routing = isSame ? known : new RoutingMap(map);
    state.map = { routing, at: Date.now() };
    return routing;
  }

  /** Does the catalog know all that the configuration says? What changed there is told once in an isolate's life. */
  #covers(map: ShardMap): boolean {
    const { request, state } = this.#parts;
    const shards = new Map(map.shards.map((shard) => [shard.name, shard]));
    const { keyspaces } = map;
    if (!request.shards.every(({ name }) => shards.has(name))) return false;
    if (!request.keyspaces.every(({ name }) => keyspaces[name])) return false;
    if (state.announced) return true;
    const isSame = ({ name, region, weight }: OpenRequest['shards'][number]) =>
      (region === undefined || shards.get(name)?.region === region) &&
      (weight === undefined || shards.get(name)?.weight === weight);
    return (
      request.shards.every(isSame) &&
      request.keyspaces.every(({ name, strategy }) => keyspaces[name]?.strategy === strategy)
    );
  }
}
