import { env, runInDurableObject } from 'cloudflare:test';
import type { Catalog } from '../../src/catalog/catalog';
import { coordinatorCatalog } from '../../src/catalog/coordinator-client';
import { d1Catalog } from '../../src/catalog/d1-catalog';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';

/** An empty place for a catalog, and a way past the catalog to its rows. */
export interface Store {
  /** A client as another isolate would make it. */
  client(): Catalog;
  query(sql: string): Promise<Record<string, unknown>[]>;
}

export const d1 = (): D1Database => shards(1).s0 as D1Database;

async function d1Store(): Promise<Store> {
  await resetDatabases();
  return {
    client: () => d1Catalog(d1()),
    query: async (sql) => (await d1().prepare(sql).all()).results,
  };
}

async function coordinatorStore(): Promise<Store> {
  const name = crypto.randomUUID();
  const namespace = env.SHARD_COORDINATOR;
  return {
    client: () => coordinatorCatalog(namespace, name),
    query: (sql) =>
      runInDurableObject(namespace.get(namespace.idFromName(name)), (_instance, { storage }) =>
        storage.sql.exec(sql).toArray(),
      ),
  };
}

export const stores: readonly [string, () => Promise<Store>][] = [
  ['D1', d1Store],
  ['Durable Object', coordinatorStore],
];
