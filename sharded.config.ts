import * as schema from './schema';
import { defineSharding } from './src/sharding';

/** The three databases of the example as one: for its Worker and for the command line. */
export default defineSharding({
  schema,
  shards: { 'db-east': 'DB_EAST', 'db-west': 'DB_WEST', 'db-central': 'DB_CENTRAL' },
  tables: {
    // users and cities need no rule: their primary key is the shard key.
    visits: { key: 'userId' },
    countries: { replicated: true },
  },
  kv: 'KV',
  coordinator: 'SHARD_COORDINATOR',
});
