import { env, runInDurableObject } from 'cloudflare:test';
import type { ShardedConfig } from '../../src';
import { type CountingCoordinator, countingCoordinator } from './counting-coordinator';
import { countingShards, type D1Counts } from './counting-d1';
import { countingKv, type Kv, KvCounts } from './counting-kv';
import { faultyD1 } from './faulty-d1';
import { MAX_SHARDS, shards } from './shards';

/** Calls to the databases, the catalog's not among them, and to the catalog. */
export interface Calls {
  readonly d1: number;
  readonly catalog: number;
  readonly kvReads: number;
  readonly kvWrites: number;
}

/** The part of a configuration that an isolate's bindings make up. */
export type Bindings = Pick<ShardedConfig, 'cluster' | 'shards'> & Pick<ShardedConfig, 'coordinator' | 'kv'>;

/**
 * An isolate of its own: what one remembers of a cluster hangs on the binding of its catalog, and here each binding is a new
 * object. Counts everything that it asks of others.
 */
export class Isolate {
  readonly config: Bindings;
  /** The round trips of all its databases. */
  readonly total: D1Counts;
  readonly perShard: Readonly<Record<string, D1Counts>>;
  readonly kv = new KvCounts();
  /** Fails calls to the catalog: it is given the name of the coordinator's method, or the SQL that goes to the first D1. */
  failCatalog: ((call: string) => Error | undefined) | undefined;
  readonly #coordinator: CountingCoordinator | undefined;

  constructor(cluster: string, databases: Readonly<Record<string, D1Database>>, place: Place, kv: Kv | undefined) {
    const failOn = (call: string) => this.failCatalog?.(call);
    const onCatalog = (sql: string) => (isCatalogs(sql) ? failOn(sql) : undefined);
    const failing = Object.entries(databases).map(([name, database]) => [
      name,
      faultyD1(database, { failOn: onCatalog }),
    ]);
    const counting = countingShards(Object.fromEntries(failing));
    this.total = counting.total;
    this.perShard = counting.perShard;
    this.#coordinator = place === 'coordinator' ? countingCoordinator(env.SHARD_COORDINATOR, failOn) : undefined;
    this.config = {
      cluster,
      shards: counting.shards,
      ...(this.#coordinator ? { coordinator: this.#coordinator } : {}),
      ...(kv ? { kv: countingKv(kv, this.kv) } : {}),
    };
  }

  get calls(): Calls {
    const inD1 = this.total.log.filter(({ statements }) => statements.some(({ sql }) => isCatalogs(sql)));
    return {
      d1: this.total.calls - inD1.length,
      catalog: inD1.length + (this.#coordinator?.calls.length ?? 0),
      kvReads: this.kv.reads,
      kvWrites: this.kv.writes,
    };
  }

  reset(): void {
    this.total.reset();
    this.kv.reset();
    if (this.#coordinator) this.#coordinator.calls.length = 0;
  }
}

const isCatalogs = (sql: string): boolean => sql.includes('_shard_catalog_');

/** Where a cluster's catalog is. */
export type Place = 'coordinator' | 'first D1';
export const PLACES: readonly Place[] = ['coordinator', 'first D1'];

/** One cluster, which any number of isolates use. */
export class Fleet {
  /** Objects of the coordinator's namespace are not emptied between tests. */
  readonly cluster = crypto.randomUUID();

  constructor(
    readonly place: Place,
    /** The KV namespace that all isolates share; none: they go without. */
    readonly kv?: Kv,
  ) {}

  /**
   * @param databases The shards that its configuration has: a number of them from the first, or others by name.
   */
  isolate(databases: number | Readonly<Record<string, D1Database>> = 3, kv = this.kv): Isolate {
    return new Isolate(this.cluster, typeof databases === 'number' ? shards(databases) : databases, this.place, kv);
  }

  /** Runs a statement on the catalog's tables, past the package. */
  async catalog(sql: string): Promise<Record<string, unknown>[]> {
    if (this.place === 'first D1') return (await (shards(1).s0 as D1Database).prepare(sql).all()).results;
    const { SHARD_COORDINATOR: namespace } = env;
    return runInDurableObject(namespace.get(namespace.idFromName(this.cluster)), (_instance, { storage }) =>
      storage.sql.exec(sql).toArray(),
    );
  }
}

/** The same query on every shard: `[shard, row]` for each row. */
export async function rowsEverywhere<T = Record<string, unknown>>(
  sql: string,
  databases: Readonly<Record<string, D1Database>> = shards(MAX_SHARDS),
): Promise<(T & { readonly shard: string })[]> {
  const lists = await Promise.all(
    Object.entries(databases).map(async ([shard, database]) => {
      const { results } = await database.prepare(sql).all<T>();
      return results.map((row) => ({ ...row, shard }));
    }),
  );
  return lists.flat();
}
