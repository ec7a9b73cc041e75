/** The bindings that `vitest.projects.ts` gives to every test file. */
declare namespace Cloudflare {
  interface Env {
    /** The one database that results over many shards are compared with. */
    DB_PLAIN: D1Database;
    DB_0: D1Database;
    DB_1: D1Database;
    DB_2: D1Database;
    DB_3: D1Database;
    DB_4: D1Database;
    DB_5: D1Database;
    DB_6: D1Database;
    /** `[id, name, country, population]` of the 10,000 largest cities. */
    CITIES: [id: string, name: string, country: string, population: number][];
    KV: KVNamespace;
    /** Objects keep what they hold from test to test: use a name of your own. */
    SHARD_COORDINATOR: DurableObjectNamespace<import('../../src/catalog/coordinator').ShardCoordinator>;
    /** The same with CollegeDB's endpoints. */
    COLLEGEDB_COORDINATOR: DurableObjectNamespace<import('../../src/collegedb/workerd').CollegeDBCoordinator>;
    COLLEGEDB_SECRET: string;
  }
}
