/** What wrangler.toml binds to the Worker. */
export interface Bindings {
  DB_EAST: D1Database;
  DB_WEST: D1Database;
  DB_CENTRAL: D1Database;
  KV: KVNamespace;
  SHARD_COORDINATOR: DurableObjectNamespace;
}
